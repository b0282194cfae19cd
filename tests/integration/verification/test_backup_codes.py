"""Recovery codes: each of a set once, in its one form."""

import asyncio
from collections import Counter

import pytest
from pydantic import ValidationError

from contracts.internal import Credential
from contracts.vocabulary import Factor
from tests.integration.verification.conftest import Application, Person, World, reason_of
from tests.integration.verification.factors import ALL, CODES, REASONS, with_codes


async def somebody(world: World) -> tuple[Application, Person]:
    application = await world.application(scopes=REASONS, factors=ALL)
    person = await world.person(application.tenant)
    await with_codes(world, person)
    return application, person


@pytest.mark.security("S1")
@pytest.mark.standard("NIST 800-63B-4 3.1.2.2")
async def test_accepts_each_code_once_in_any_order(world: World) -> None:
    application, person = await somebody(world)

    answers = [await world.verify(application, person, CODES[n]) for n in (2, 0, 2, 1, 0, 1)]

    assert [answer.status_code for answer in answers] == [200, 200, 403, 200, 403, 403]
    assert {reason_of(answer) for answer in answers if answer.status_code == 403} == {"replayed"}
    assert answers[0].json()["factor"] == "recovery_code"
    assert answers[0].json()["amr"] == ["otp"]


@pytest.mark.fault("R1")
@pytest.mark.security("S1")
async def test_of_many_at_once_with_one_code_one_is_accepted(world: World) -> None:
    application, person = await somebody(world)

    answers = await asyncio.gather(*(world.verify(application, person, CODES[1]) for _ in range(9)))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 8}
    assert (await world.events(person)).count("mfa.verified") == 1


@pytest.mark.security("S2")
async def test_a_wrong_code_is_charged_like_any_other(world: World) -> None:
    application, person = await somebody(world)

    answers = [await world.verify(application, person, "7HJ2K-9QXW5") for _ in range(12)]

    assert Counter(map(reason_of, answers)) == {"wrong_code": 10, "budget": 2}


@pytest.mark.security("S4")
@pytest.mark.parametrize("code", ["7hj2k-9qxw4", "7HJ2K9QXW4", "7HJ2K-9QXW4 ", "7HJ2K-9QXWO"])
async def test_refuses_other_forms(world: World, code: str) -> None:
    application, person = await somebody(world)

    assert (await world.verify(application, person, code)).status_code == 422


@pytest.mark.security("S14")
async def test_no_code_is_stored_or_announced_in_clear(world: World) -> None:
    application, person = await somebody(world)
    await world.verify(application, person, CODES[0])

    rows = await world.rows("SELECT sealed::text AS kept FROM authenticator")
    events = await world.rows("SELECT convert_from(payload, 'UTF8') AS kept FROM outbox")

    kept = "".join(str(row["kept"]) for row in rows + events)
    assert all(code not in kept and code.encode().hex() not in kept for code in CODES)


async def test_decisions_list_it_among_the_usable_factors(world: World) -> None:
    application, person = await somebody(world)

    decided = (await world.decide(application, person.name)).json()

    assert decided["factors"] == ["totp", "recovery_code"]


@pytest.mark.parametrize(
    "codes",
    [(), ("7HJ2K-9QXW4", "7HAAA-AAAAA"), ("7hj2k-9qxw4",), ("7HJ2K-9QXW4",) * 2],
)
def test_a_set_has_codes_of_one_form_with_selectors_of_their_own(codes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Credential(factor=Factor.RECOVERY_CODE, epoch=1, codes=codes)
