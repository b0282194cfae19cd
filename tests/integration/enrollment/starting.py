"""Enrollments of every factor, begun and confirmed as an application does it."""

from base64 import b32encode
from dataclasses import dataclass
from secrets import token_bytes
from uuid import UUID, uuid4

import httpx2
import pyotp

from contracts.internal import CLAIM_CODE, letter_place
from contracts.vocabulary import Factor, Service
from libs.sealing.letter import LetterBox
from tests.integration.enrollment.things import Application, Enrolled, Person
from tests.integration.enrollment.world import World

ALL = (
    Factor.TOTP,
    Factor.HOTP,
    Factor.PIN,
    Factor.SMS,
    Factor.VOICE,
    Factor.RECOVERY_CODE,
)
PIN = "480263"
NUMBER = "+31612345678"


@dataclass(frozen=True)
class Begun:
    """An enrollment under way, and what confirms it now."""

    person: Person
    factor: Factor
    shown: dict[str, object]
    code: str

    @property
    def path(self) -> str:
        """Return where it is."""
        return f"/v1/enrollments/{self.shown['enrollment_id']}"


async def begin(
    world: World, application: Application, person: Person, factor: Factor, **more: object
) -> Begun:
    """Begin to enroll a factor."""
    receipt = str(more.pop("receipt")) if "receipt" in more else None
    body, code = _wish(factor)
    wish = {"subject": person.name, "factor": factor.value, **body, **more}
    answer = await world.ask(application, "POST", "/v1/enrollments", wish, receipt=receipt)
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    if factor is Factor.TOTP:
        code = pyotp.TOTP(shown["key"].replace(" ", "")).at(world.clock())
    elif factor is Factor.RECOVERY_CODE:
        code = shown["codes"][0]
    elif factor in (Factor.SMS, Factor.VOICE):
        code = (await sent(world, person))["code"]
    return Begun(person, factor, shown, code)


async def confirm(
    world: World, application: Application, begun: Begun, code: str | None = None
) -> httpx2.Response:
    """Confirm it."""
    body = {"code": code or begun.code}
    return await world.ask(application, "POST", f"{begun.path}/confirmation", body)


async def enroll(
    world: World, application: Application, person: Person, factor: Factor, **more: object
) -> Enrolled:
    """Go all the way."""
    begun = await begin(world, application, person, factor, **more)
    answer = await confirm(world, application, begun)
    assert answer.status_code == 200, answer.text
    became = answer.json()["authenticator_id"]
    if factor not in (Factor.SMS, Factor.VOICE):
        world.held[person.name] = became
    return Enrolled(person, became, answer.json()["recovery_ticket"], secret="", step=-1)


async def sent(world: World, person: Person) -> dict[str, str]:
    """Claim what is to be sent last to a person, as notification does."""
    requests = [
        data for kind, data in await world.events(person) if kind == "mfa.enrollment_code_requested"
    ]
    code_id, attempt = str(requests[-1]["code_id"]), uuid4()
    found = await claim(world, person, code_id, attempt)
    assert not isinstance(found, int), found
    return found


async def claim(
    world: World, person: Person, code_id: str, attempt: UUID, *, subject_ref: UUID | None = None
) -> dict[str, str] | int:
    """Claim what is to be sent; a refusal is its status."""
    box = LetterBox()
    body: dict[str, object] = {
        "tenant": str(person.tenant),
        "subject_ref": str(subject_ref or person.subject_ref),
        "code_id": code_id,
        "attempt_id": str(attempt),
        "public_key": box.public_key,
    }
    answer = await world.call(CLAIM_CODE, Service.NOTIFICATION, body)
    if answer.status_code != 200:
        return answer.status_code
    place = letter_place(CLAIM_CODE, person.tenant, code_id, attempt)
    opened = box.open(answer.json()["letter"], place=place)
    return {name: str(value) for name, value in opened.items()}


def _wish(factor: Factor) -> tuple[dict[str, object], str]:
    match factor:
        case Factor.HOTP:
            seed = b32encode(token_bytes(20)).decode()
            return {"seed": seed, "counter": 7}, pyotp.HOTP(seed).at(9)
        case Factor.PIN:
            return {"pin": PIN}, PIN
        case Factor.SMS | Factor.VOICE:
            return {"number": NUMBER}, ""
        case _:
            return {}, ""
