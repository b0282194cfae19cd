"""Who may call the internal routes of a service: the matrix and the forgeries, for every service.

A service's test calls `assert_only_listed_callers` once, and `assert_refused` for each of
FORGERIES; a route that no contract lists fails them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.routing import APIRoute
from joserfc.jwk import OKPKey

from contracts.internal import INTERNAL_ROUTES, InternalRoute
from contracts.vocabulary import Service
from libs.clock import system_clock
from libs.web.identity import Identity

Identities = Mapping[Service, Identity]
Claims = dict[str, object]

_BODY = b"{}"
_OPEN_PATHS = ("/health/live", "/health/ready", "/metrics")


def make_identities() -> Identities:
    """Make a key pair for every service, each knowing all public keys."""
    private = {service: OKPKey.generate_key("Ed25519") for service in Service}
    public = {
        service.value: OKPKey.import_key(key.as_dict(private=False))
        for service, key in private.items()
    }
    return {
        service: Identity(service.value, private_key=key, public_keys=public)
        for service, key in private.items()
    }


def write_identity(identity: Identity, folder: Path) -> tuple[Path, Path]:
    """Write the two files that a service's settings name: its private key, all public keys."""
    own, all_public = folder / "identity.json", folder / "identities.json"
    own.write_text(json.dumps(identity.private_key.as_dict(private=True)))
    public = {name: key.as_dict(private=False) for name, key in identity.public_keys.items()}
    all_public.write_text(json.dumps(public))
    return own, all_public


def routes_of(app: object) -> Iterator[APIRoute]:
    """Yield every route of an app, in whichever way its routers were included."""
    for route in getattr(app, "routes", ()):
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from routes_of(getattr(route, "original_router", None))


@dataclass(frozen=True)
class Call:
    """One signed call to a route, as an allowed caller makes it."""

    caller: Identity
    audience: str
    path: str
    now: datetime

    def claims(self) -> Claims:
        """Return what a good token says."""
        return _decoded(self.token().split(".")[1])

    def header(self) -> Claims:
        """Return how a good token is signed."""
        return _decoded(self.token().split(".")[0])

    def token(self) -> str:
        """Return a good token."""
        return self.caller.sign(
            audience=self.audience, method="POST", path=self.path, body=_BODY, now=self.now
        )


Forge = Callable[[Call], str]


def _changed(**changes: object) -> Forge:
    def forge(call: Call) -> str:
        claims = {**call.claims(), **changes}
        kept = {name: value for name, value in claims.items() if value is not None}
        return _signed(call.caller.private_key, kept, header=call.header())

    return forge


def _expired(call: Call) -> str:
    return replace(call, now=call.now - timedelta(seconds=66)).token()


def _from_the_future(call: Call) -> str:
    return replace(call, now=call.now + timedelta(seconds=66)).token()


def _long_lived(call: Call) -> str:
    expiry = int((call.now + timedelta(days=1)).timestamp())
    claims = {**call.claims(), "exp": expiry}
    return _signed(call.caller.private_key, claims, header=call.header())


def _foreign_key(call: Call) -> str:
    return _signed(OKPKey.generate_key("Ed25519"), call.claims(), header=call.header())


def _own_key_in_header(call: Call) -> str:
    key = OKPKey.generate_key("Ed25519")
    header = {**call.header(), "jwk": key.as_dict(private=False), "kid": "../../dev/null"}
    return _signed(key, call.claims(), header=header)


def _unsigned(call: Call) -> str:
    return _unsigned_part({"alg": "none"}, call.claims()) + "."


def _signature_stripped(call: Call) -> str:
    return call.token().rpartition(".")[0] + "."


def _hmac_with_public_key(call: Call) -> str:
    text = _unsigned_part({"alg": "HS256"}, call.claims())
    secret = base64.urlsafe_b64decode(
        str(call.caller.private_key.as_dict(private=False)["x"]) + "="
    )
    return f"{text}.{_encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


def _hmac_with_public_pem(call: Call) -> str:
    text = _unsigned_part({"alg": "HS256"}, call.claims())
    secret = call.caller.private_key.as_pem(private=False)
    return f"{text}.{_encoded(hmac.digest(secret, text.encode(), 'sha256'))}"


FORGERIES: Mapping[str, Forge] = {
    "nothing": lambda _: "",
    "noise": lambda _: "a.b.c",
    "expired": _expired,
    "not issued yet": _from_the_future,
    "valid for a day": _long_lived,
    "without expiry": _changed(exp=None),
    "without id": _changed(jti=None),
    "another audience": _changed(aud="somebody"),
    "without audience": _changed(aud=None),
    "unknown issuer": _changed(iss="nobody"),
    "another method": _changed(htm="GET"),
    "another path": _changed(htu="/internal/else"),
    "another body": _changed(bh=hashlib.sha256(b"{ }").hexdigest()),
    "a foreign key": _foreign_key,
    "a key in its header": _own_key_in_header,
    "alg none": _unsigned,
    "signature stripped": _signature_stripped,
    "HMAC with the public key": _hmac_with_public_key,
    "HMAC with the public key as PEM": _hmac_with_public_pem,
}


async def assert_only_listed_callers(
    app: FastAPI, service: Service, identities: Identities
) -> None:
    """Let every service call every internal route: exactly the listed callers come through."""
    listed = _listed(service)
    assert _paths(app) == {route.path for route in listed}
    for route in listed:
        for caller, identity in identities.items():
            status = await _status(app, _call(route, identity).token(), path=route.path)
            if caller in route.callers:
                # An empty body is refused, or enough, only after the caller was let in.
                assert status in (200, 422), (route.path, caller, status)
            else:
                assert status == 403, (route.path, caller, status)


async def assert_refused(
    app: FastAPI, service: Service, identities: Identities, *, forgery: str
) -> None:
    """Try a forgery on every internal route in the name of an allowed caller: always 401."""
    for route in _listed(service):
        token = FORGERIES[forgery](_call(route, identities[route.callers[0]]))
        assert await _status(app, token, path=route.path) == 401, (route.path, forgery)


async def assert_taken_once(app: FastAPI, service: Service, identities: Identities) -> None:
    """Send one token twice to every internal route: the second time is refused."""
    for route in _listed(service):
        token = _call(route, identities[route.callers[0]]).token()
        first = await _status(app, token, path=route.path)
        again = await _status(app, token, path=route.path)
        assert first in (200, 422), route.path
        assert again == 401, route.path


async def assert_body_is_bound(app: FastAPI, service: Service, identities: Identities) -> None:
    """Change the body after it was signed: refused on every internal route."""
    for route in _listed(service):
        token = _call(route, identities[route.callers[0]]).token()
        status = await _status(app, token, path=route.path, body=b'{"tenant": null}')
        assert status == 401, route.path


def _listed(service: Service) -> list[InternalRoute]:
    return [route for route in INTERNAL_ROUTES if route.service is service]


def _paths(app: FastAPI) -> set[str]:
    return {route.path for route in routes_of(app)} - set(_OPEN_PATHS)


def _call(route: InternalRoute, caller: Identity) -> Call:
    return Call(caller, audience=route.service.value, path=route.path, now=system_clock())


async def _status(app: FastAPI, token: str, *, path: str, body: bytes = _BODY) -> int:
    transport = httpx2.ASGITransport(app)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with httpx2.AsyncClient(transport=transport, base_url="http://internal") as http:
        response = await http.post(path, content=body, headers=headers)
    return response.status_code


def _signed(key: OKPKey, claims: Claims, *, header: Claims) -> str:
    text = _unsigned_part(header, claims)
    private = key.private_key
    assert isinstance(private, Ed25519PrivateKey)
    return f"{text}.{_encoded(private.sign(text.encode()))}"


def _unsigned_part(header: Claims, claims: Claims) -> str:
    return ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))


def _decoded(part: str) -> Claims:
    content: Claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return content


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
