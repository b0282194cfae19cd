"""Signed calls between services: each has its own Ed25519 key, and routes list who may call them.

A token (JWT, RFC 7519; Ed25519, RFC 9864) names issuer, audience, method, path and the SHA-256 of
the body, lives 60 seconds and is taken once.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jwt import JWTClaimsRegistry

from libs.clock import Clock
from libs.web.problems import Problem

LIFETIME = timedelta(seconds=60)
_LEEWAY_SECONDS = 5
_ALGORITHM = "Ed25519"

# Stores a token id once until a time; False where it was there already.
TakeOnce = Callable[[str, datetime], Awaitable[bool]]


@dataclass(frozen=True)
class Identity:
    """The own name and private key, and the public keys of the others by name."""

    name: str
    private_key: OKPKey
    public_keys: Mapping[str, OKPKey]

    def sign(self, *, audience: str, method: str, path: str, body: bytes, now: datetime) -> str:
        """Return the token for one request."""
        claims = {
            "iss": self.name,
            "aud": audience,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": path,
            "bh": hashlib.sha256(body).hexdigest(),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self.private_key, algorithms=[_ALGORITHM])


# FastAPI keeps dependencies by their hash; keys have none, so each of these is only itself.
@dataclass(frozen=True, eq=False)
class InternalCallers:
    """A route dependency: lets in the listed services, each request once."""

    identity: Identity
    take_once: TakeOnce
    clock: Clock
    allowed: frozenset[str]

    async def __call__(self, request: Request) -> str:
        """Return the caller; raises Problem 401 for a bad token, 403 for a caller not listed."""
        claims = self._claims(request.headers.get("authorization", ""))
        body = hashlib.sha256(await request.body()).hexdigest()
        said = (claims.get("htm"), claims.get("htu"), claims.get("bh"))
        if said != (request.method, request.url.path, body):
            raise _refused()
        caller = str(claims["iss"])
        if caller not in self.allowed:
            raise Problem(403, "caller_not_listed", "This service may not call this route")
        until = datetime.fromtimestamp(_number(claims["exp"]), UTC)
        if not await self.take_once(str(claims["jti"]), until):
            raise _refused()
        return caller

    def _claims(self, authorization: str) -> dict[str, object]:
        kind, _, token = authorization.partition(" ")
        try:
            key = self.identity.public_keys[_issuer(token)]
            claims = jwt.decode(token, key, algorithms=[_ALGORITHM]).claims
            now = int(self.clock().timestamp())
            _registry(self.identity.name, now).validate(claims)
        except (JoseError, LookupError, ValueError, TypeError, RecursionError):
            raise _refused() from None
        if kind != "Bearer" or _number(claims["exp"]) - now > LIFETIME.seconds + _LEEWAY_SECONDS:
            raise _refused()
        return dict(claims)


def load_identity(name: str, *, private_key: str, public_keys: str) -> Identity:
    """Build an identity from a private JWK and a JSON object of public JWKs by service name."""
    return Identity(
        name=name,
        private_key=OKPKey.import_key(json.loads(private_key)),
        public_keys={
            service: OKPKey.import_key(key) for service, key in json.loads(public_keys).items()
        },
    )


def _registry(audience: str, now: int) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=now,
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
    )


def _issuer(token: str) -> str:
    # Only to choose the key; nothing of it is believed before the signature held.
    part = token.split(".")[1]
    return str(json.loads(_decoded(part))["iss"])


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise _refused()
    return value


def _refused() -> Problem:
    return Problem(401, "unknown_service", "This route is for services only")
