"""Every public route, as whoever must not come in sees it, and with whatever looks nearly right."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

import httpx2
import pyotp
import pytest

from contracts.roles import SCOPES, Right, Role, rights_of
from contracts.vocabulary import Scope
from deploy.local.system import System
from tests.e2e.people import Person, Tenancy, new_tenancy, until
from tests.e2e.routes import EVERYBODY, OPERATOR, ROUTES, SERVICES, Row

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")

_APP = Role.APPLICATION
_ALL = [Scope.ENROLL, Scope.VERIFY, Scope.VERIFY_REASONS, Scope.MANAGE]
_NUMBERS = {"version": "99", "number": "1"}
_IDS = {
    **dict.fromkeys(("application_id", "key_id", "subject_ref", "enrollment_id"), ""),
    **dict.fromkeys(("authenticator_id", "device_id", "reset_id", "import_id"), ""),
    **dict.fromkeys(("proposal_id", "authenticator_import_id", "hardware_token_id"), ""),
}


@dataclass
class Furnished:
    """A tenant in which there is one of everything; `ids` fill the addresses."""

    tenancy: Tenancy
    person: Person
    key: str
    ids: Mapping[str, str]


async def _application(tenancy: Tenancy, scopes: list[Scope]) -> tuple[str, dict[str, object]]:
    """Make an application with a key that every service knows."""
    body = {"name": "Everything", "scopes": scopes}
    made = await tenancy.must("/v1/applications", body, status=201, key=tenancy.manage_key)
    await _until_known(tenancy, str(made["key"]))
    return str(made["key"]), made


async def _key_of(tenancy: Tenancy, role: Role) -> str:
    """Give somebody a key with a role that every service knows."""
    holder = await tenancy.person()
    body = {"role": role, "holder": holder.subject_ref, "mode": "live"}
    path = f"/v1/applications/{tenancy.application_id}/keys"
    made = await tenancy.must(path, body, status=201, key=tenancy.manage_key)
    await _until_known(tenancy, str(made["key"]))
    return str(made["key"])


async def _until_known(tenancy: Tenancy, key: str) -> None:
    async def known() -> bool:
        answers = [
            await tenancy.ask(path, {}, key=key)
            for path in ("/v1/decisions", "/v1/enrollments", "/v1/recoveries")
        ]
        return all(answer.status_code in (403, 422) for answer in answers)

    await until(known)


async def _furnished(tenancy: Tenancy) -> Furnished:
    person = await tenancy.enrolled()
    body = {"subject": person.name, "code": person.next_code(), "device": {"remember": True}}
    device = (await tenancy.must("/v1/verify", body, status=200))["device"]
    assert isinstance(device, dict)
    begun = {"subject": person.name, "factor": "totp"}
    present = {"Watchword-Receipt": person.presence}
    enrollment = await tenancy.must("/v1/enrollments", begun, status=201, headers=present)
    other = await tenancy.enrolled()
    used = {"subject": other.name, "recovery_key": other.recovery_key}
    reset = await tenancy.effective("/v1/recoveries", used)
    # More versions than strangers will write below, so that theirs have other numbers.
    for _ in range(9):
        draft = {"rules": {"rules": []}, "reason": "A draft"}
        written = await tenancy.must("/v1/rules", draft, status=201, key=tenancy.manage_key)
    key, made = await _application(tenancy, _ALL)
    wanted = {"format": "csv", "dry_run": True}
    imported = await tenancy.must("/v1/imports", wanted, status=201, key=tenancy.manage_key)
    ids = {
        "import_id": str(imported["import_id"]),
        **await _imported_token(tenancy),
        "proposal_id": await _proposal(tenancy),
        "application_id": tenancy.application_id,
        "key_id": str(made["key_id"]),
        "subject_ref": person.subject_ref,
        "enrollment_id": str(enrollment["enrollment_id"]),
        "authenticator_id": person.authenticator_id,
        "device_id": str(device["id"]),
        "reset_id": str(reset["reset_id"]),
        "version": str(written["version"]),
    }
    return Furnished(tenancy, person, key, ids)


async def _imported_token(tenancy: Tenancy) -> dict[str, str]:
    """Let a token come into the stock."""
    path, key = "/v1/authenticator-imports", tenancy.manage_key
    begun = await tenancy.must(path, {"dry_run": False}, status=201, key=key)
    about = f"{path}/{begun['import_id']}"
    row = json.dumps({"factor": "totp", "secret": pyotp.random_base32(), "serial": "canary"})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
    await tenancy.http.put(f"{about}/parts/1", content=row, headers=headers)
    await tenancy.must(f"{about}/start", {}, status=200, key=key)
    found: list[dict[str, str]] = []

    async def in_stock() -> bool:
        answer = await tenancy.ask("/v1/hardware-tokens/search", {"serial": "canary"}, key=key)
        found.extend(answer.json()["hardware_tokens"])
        return bool(found)

    await until(in_stock)
    return {
        "authenticator_import_id": str(begun["import_id"]),
        "hardware_token_id": found[0]["hardware_token_id"],
    }


async def _proposal(tenancy: Tenancy) -> str:
    """Let an owner propose what weakens."""
    owners = [await _key_of(tenancy, Role.OWNER) for _ in range(2)]
    on = await tenancy.ask("/v1/settings", {"four_eyes": True}, key=owners[0], method="PUT")
    assert on.status_code == 200, on.text
    off = await tenancy.ask("/v1/settings", {"four_eyes": False}, key=owners[0], method="PUT")
    assert off.status_code == 202, off.text
    return str(off.json()["proposal_id"])


async def _send(
    tenancy: Tenancy,
    route: tuple[str, str],
    *,
    key: str | None,
    ids: Mapping[str, str] | None = None,
    subject: str = "nobody@example.org",
) -> httpx2.Response:
    method, path = route
    filled = {name: str(uuid4()) for name in _IDS} | _NUMBERS | dict(ids or {})
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    row, where = ROUTES[route], path.format(**filled)
    if row.text is not None:
        headers["Content-Type"] = "text/plain"
        return await tenancy.http.request(method, where, content=row.text, headers=headers)
    body = _filled(row, subject) if row.body is not None else None
    return await tenancy.http.request(method, where, json=body, headers=headers)


def _filled(row: Row, subject: str) -> object:
    text = json.dumps(row.body).replace("{subject}", subject)
    return json.loads(text.replace("{new}", uuid4().hex))


def _missing_scope(answer: httpx2.Response) -> bool:
    return answer.status_code == 403 and answer.json()["code"] == "missing_scope"


@pytest.mark.security("S6")
async def test_every_route_has_a_row(system: System) -> None:
    documented = set()
    async with httpx2.AsyncClient(base_url=system.url) as http:
        for service in SERVICES:
            paths = (await http.get(f"/openapi/{service}.json")).json()["paths"]
            documented |= {(m.upper(), path) for path, methods in paths.items() for m in methods}

    assert documented == ROUTES.keys()


@pytest.mark.security("S6")
async def test_nobody_comes_in_without_a_key_in_force(tenancy: Tenancy) -> None:
    revoked, made = await _application(tenancy, _ALL)
    path = f"/v1/applications/{made['application_id']}/keys/{made['key_id']}"
    await tenancy.effective(path, {}, key=tenancy.manage_key, method="DELETE")
    keys = [None, "noise", f"ww_live_{'0' * 71}", revoked[:-1] + "x", revoked]

    for route, row in ROUTES.items():
        if EVERYBODY not in row.wants:
            for key in keys:
                answer = await _send(tenancy, route, key=key)
                assert answer.status_code == 401, (route, answer.text)


@pytest.mark.security("S6")
async def test_every_route_wants_what_its_row_says(tenancy: Tenancy) -> None:
    keys = {(await _application(tenancy, [scope]))[0]: rights_of(_APP, [scope]) for scope in Scope}
    for role in (Role.OWNER, Role.ADMINISTRATOR, Role.SERVICE_DESK, Role.AUDITOR):
        keys[await _key_of(tenancy, role)] = rights_of(role, SCOPES[role])

    for route, row in ROUTES.items():
        for key, rights in keys.items():
            answer = await _send(tenancy, route, key=key)
            if OPERATOR in row.wants:
                assert answer.status_code == 401, (route, rights)
            elif EVERYBODY not in row.wants:
                let_in = not row.wants.isdisjoint(rights)
                assert _missing_scope(answer) is not let_in, (route, rights, answer.text)
                assert answer.status_code != 401, (route, rights)


@pytest.mark.security("S6")
async def test_what_another_tenant_has_is_not_there(system: System, tenancy: Tenancy) -> None:
    ours = await _furnished(tenancy)
    async with new_tenancy(system) as strangers:
        useful, _ = await _application(strangers, _ALL)
        tried = 0
        for route, row in ROUTES.items():
            if OPERATOR in row.wants or EVERYBODY in row.wants:
                continue
            key = strangers.manage_key if Right.OWN in row.wants else useful
            answer = await _send(strangers, route, key=key, ids=ours.ids, subject=ours.person.name)
            nobody = await _send(strangers, route, key=key)
            assert _same(answer, nobody), (route, answer.text, nobody.text)
            if "{" in route[1]:
                assert answer.status_code == 404, (route, answer.text)
                tried += 1
    assert tried >= 15
    person = ours.person
    assert await tenancy.decision(person) == "challenge"
    here = await tenancy.must("/v1/devices/search", {"subject": person.name}, status=200)
    assert [one["id"] for one in here["devices"]] == [ours.ids["device_id"]]  # type: ignore[attr-defined]


def _same(answer: httpx2.Response, nobody: httpx2.Response) -> bool:
    """Tell whether an answer says no more of somebody than of nobody."""
    if answer.status_code != nobody.status_code:
        return False
    return answer.is_success or _problem(answer) == _problem(nobody)


def _problem(answer: httpx2.Response) -> dict[str, object]:
    content: dict[str, object] = answer.json()
    return content | {"trace_id": ""}


# What looks like a name or a code, or stands for the same number, and is another text.
_LOOKALIKES: Mapping[str, Callable[[str], object]] = {
    "space before": lambda text: f" {text}",
    "space behind": lambda text: f"{text} ",
    "line break": lambda text: f"{text}\n",
    "tab": lambda text: f"{text}\t",
    "no-break space": lambda text: f"{text}\u00a0",
    "zero-width space": lambda text: f"{text[:3]}\u200b{text[3:]}",
    "zero-width joiner": lambda text: f"{text}\u200d",
    "byte order mark": lambda text: f"\ufeff{text}",
    "soft hyphen": lambda text: f"{text[:3]}\u00ad{text[3:]}",
    "right to left": lambda text: f"\u202e{text}",
    "NUL": lambda text: f"{text}\x00",
    "not NFC": lambda text: f"{text}e\u0301",
    "lone surrogate": lambda text: f"{text}\ud800",
    "empty": lambda _: "",
    "a list": lambda text: [text],
    "an object": lambda text: {"$eq": text},
    "null": lambda _: None,
    "true": lambda _: True,
    "a number": lambda _: 123456,
}
_DIGITS: Mapping[str, Callable[[str], object]] = {
    "full-width digits": lambda code: "".join(chr(ord(digit) + 0xFEE0) for digit in code),
    "Arabic digits": lambda code: "".join(chr(0x660 + int(digit)) for digit in code),
    "a zero before": lambda code: f"0{code}",
    "grouped": lambda code: f"{code[:3]} {code[3:]}",
    "a sign": lambda code: f"+{code}",
    "a fraction": lambda code: f"{code}.0",
    "an exponent": lambda code: f"{code}e0",
}


def _fields(name: str) -> list[tuple[str, str]]:
    return [route for route, row in ROUTES.items() if name in (row.body or {})]


@pytest.mark.security("S4")
async def test_a_name_has_one_form_everywhere(tenancy: Tenancy) -> None:
    ours = await _furnished(tenancy)

    assert len(_fields("subject")) >= 8
    for route in _fields("subject"):
        for what, form in _LOOKALIKES.items():
            body = {**(ROUTES[route].body or {}), "subject": form(ours.person.name)}
            answer = await _raw(tenancy, route, json.dumps(body), ours.key)
            assert answer.status_code == 422, (route, what, answer.text)
            assert ours.person.name not in answer.text, "what is refused is not quoted"


@pytest.mark.security("S4")
async def test_a_code_has_one_form_and_no_other_costs_a_guess(tenancy: Tenancy) -> None:
    person, (key, _) = await tenancy.enrolled(), await _application(tenancy, _ALL)
    code = person.next_code()
    forms = {**_LOOKALIKES, **_DIGITS}

    for what, form in forms.items():
        body = {"subject": person.name, "code": form(code)}
        answer = await _raw(tenancy, ("POST", "/v1/verify"), json.dumps(body), key)
        # More digits are a code of somebody's, and not of this person's.
        expected = 403 if what == "a zero before" else 422
        assert answer.status_code == expected, (what, answer.text)
        assert code not in answer.text

    accepted = await tenancy.verify(person, code)
    assert accepted.status_code == 200, "none of them used it up, or a guess"


@pytest.mark.security("S4")
async def test_a_body_is_read_in_one_way(tenancy: Tenancy) -> None:
    useful, _ = await _application(tenancy, _ALL)

    for route, row in ROUTES.items():
        if row.body is None or OPERATOR in row.wants:
            continue
        key = tenancy.manage_key if Right.OWN in row.wants else useful
        good = json.dumps(_filled(row, "nobody@example.org"))
        first = next(iter(row.body), "subject")
        twice = f'{{"{first}": "x", "{first}": "y", {good[1:]}' if row.body else '{"a": 1, "a": 1}'
        for body in (
            twice,
            "",
            "{",
            "[]",
            '"x"',
            "null",
            good + good,
            f'{{"unknown": 1, {good[1:]}',
        ):
            answer = await _raw(tenancy, route, body, key)
            assert answer.status_code == 422, (route, body, answer.text)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
            answer = await _raw(tenancy, route, good, key, kind=kind)
            assert answer.status_code == 415, (route, kind, answer.text)


async def _raw(
    tenancy: Tenancy, route: tuple[str, str], body: str, key: str, kind: str = "application/json"
) -> httpx2.Response:
    method, path = route
    filled = path.format(**({name: str(uuid4()) for name in _IDS} | _NUMBERS))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
    content = body.encode("utf-8", "surrogatepass")
    return await tenancy.http.request(method, filled, content=content, headers=headers)
