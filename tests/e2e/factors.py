"""Factors of every kind, enrolled and used through the public API, as an application does it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex

import httpx2

from tests.e2e.people import Person, Tenancy, until


@dataclass(frozen=True)
class Begun:
    """An enrollment under way."""

    path: str
    shown: dict[str, object]


async def begin(
    tenancy: Tenancy, person: Person, factor: str, *, receipt: str = "", **more: object
) -> Begun:
    """Begin to enroll; without a receipt said, with what the last confirmation gave."""
    present = receipt or person.presence
    shown = await tenancy.must(
        "/v1/enrollments",
        {"subject": person.name, "factor": factor, **more},
        status=201,
        headers={"Watchword-Receipt": present} if present else {},
    )
    return Begun(f"/v1/enrollments/{shown['enrollment_id']}", shown)


async def finish(
    tenancy: Tenancy, person: Person, begun: Begun, code: str, **more: str
) -> dict[str, object]:
    """Confirm it; the person has one more authenticator."""
    path = f"{begun.path}/confirmation"
    confirmed = await tenancy.must(path, {"code": code, **more}, status=200)
    person.authenticator_id = str(confirmed["authenticator_id"])
    person.presence = str(confirmed["presence"])
    return confirmed


async def receipt(tenancy: Tenancy, person: Person, code: str) -> str:
    """Have a code judged, and return the receipt of it."""
    body = {"subject": person.name, "code": code, "receipt": {"nonce": token_hex(8)}}
    accepted = await tenancy.must("/v1/verify", body, status=200)
    return str(accepted["receipt"])


async def until_accepted(tenancy: Tenancy, person: Person, codes: Callable[[], str]) -> None:
    """Show codes until one is accepted: verification has claimed the credential by then."""

    async def accepted() -> bool:
        return (await tenancy.verify(person, codes())).status_code == 200

    await until(accepted)


async def until_usable(tenancy: Tenancy, person: Person, factor: str) -> None:
    """Wait until a decision names a factor."""

    async def usable() -> bool:
        answer = (await tenancy.ask("/v1/decisions", {"subject": person.name})).json()
        return answer["decision"] == "challenge" and factor in answer["factors"]

    await until(usable)


async def mailed_code(tenancy: Tenancy, person: Person) -> str:
    """Wait for a code in the inbox of the login address, the newest one."""
    found: list[str] = []

    async def has_come() -> bool:
        mails = await tenancy.mails_to(person)
        texts = [str(mail["text"]) for mail in mails]
        codes = [match for text in texts if (match := re.search(r"^(\d{3}) (\d{3})$", text, re.M))]
        found[:] = ["".join(match.groups()) for match in codes]
        return bool(found)

    await until(has_come)
    return found[0]


async def phoned_code(tenancy: Tenancy, number: str, *, kind: str) -> str:
    """Wait for a code on a telephone, and read it or hear it."""
    found: list[str] = []

    async def has_come() -> bool:
        async with httpx2.AsyncClient() as http:
            path = f"{tenancy.system.inbox_url}/handset/messages"
            messages = (await http.get(path, params={"to": number})).json()
        said = [str(one["text"]).replace(" ", "") for one in messages if one["kind"] == kind]
        found[:] = [match[0] for text in said if (match := re.search(r"\d{6}", text))]
        return bool(found)

    await until(has_come)
    return found[0]


def rule(name: str, *factors: str, **more: object) -> Mapping[str, object]:
    """Return a rule that requires one of some factors of everybody."""
    return {"name": name, "requirement": "required", "factors": list(factors), **more}
