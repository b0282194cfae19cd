"""HOTP: every counter once, also far ahead, and at the price of its window."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from tests.integration.verification.conftest import Application, Person, World, reason_of
from tests.integration.verification.factors import ALL, REASONS, Fob, ask, with_fob


async def somebody(
    world: World, *, last_used: int = -1, digits: int = 6
) -> tuple[Application, Person, Fob]:
    application = await world.application(scopes=REASONS, factors=ALL)
    person = await world.person(application.tenant)
    return application, person, await with_fob(world, person, last_used=last_used, digits=digits)


async def counter_of(world: World, fob: Fob) -> object:
    rows = await world.rows(
        "SELECT last_step FROM authenticator WHERE id = $1", fob.authenticator_id
    )
    return rows[0]["last_step"]


@pytest.mark.security("S1")
@pytest.mark.standard("RFC 4226 7.2")
async def test_accepts_each_counter_once_and_none_before_it(world: World) -> None:
    application, person, fob = await somebody(world, digits=8)

    answers = [await world.verify(application, person, fob.code(n)) for n in (0, 0, 3, 2, 3, 4)]

    assert [answer.status_code for answer in answers] == [200, 403, 200, 403, 403, 200]
    assert answers[0].json()["amr"] == ["otp"]
    assert answers[0].json()["factor"] == "hotp"
    assert await counter_of(world, fob) == 4


@pytest.mark.security("S1")
async def test_the_counter_that_confirmed_the_enrollment_is_spent(world: World) -> None:
    application, person, fob = await somebody(world, last_used=6)

    refused = await world.verify(application, person, fob.code(6))

    assert refused.status_code == 403
    assert (await world.verify(application, person, fob.code(7))).status_code == 200


@pytest.mark.fault("R1")
@pytest.mark.security("S1")
async def test_of_many_at_once_with_one_code_one_is_accepted(world: World) -> None:
    application, person, fob = await somebody(world, digits=8)

    answers = await asyncio.gather(
        *(world.verify(application, person, fob.code(2)) for _ in range(9))
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 8}
    assert (await world.events(person)).count("mfa.verified") == 1


@pytest.mark.standard("RFC 4226 7.4")
async def test_a_long_walk_through_the_window_never_loses_the_counter(world: World) -> None:
    application, person, fob = await somebody(world)

    answers = [await world.verify(application, person, fob.code(n)) for n in range(10, 100, 11)]

    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.fault("R5")
async def test_a_copy_that_missed_moves_costs_one_refusal(world: World) -> None:
    application, person, fob = await somebody(world, digits=8)
    await world.verify(application, person, world.code(person))
    connection = await world.stored.superuser()
    await connection.execute(
        "UPDATE authenticator SET last_step = 30 WHERE id = $1", fob.authenticator_id
    )
    await connection.close()
    name = {"authenticator": str(fob.authenticator_id)}

    answers = [await ask(world, application, person, fob.code(31), **name) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [403, 200]


@pytest.mark.standard("RFC 4226 7.4")
async def test_two_codes_in_a_row_find_a_counter_that_ran_ahead(world: World) -> None:
    application, person, fob = await somebody(world, digits=8)

    alone = await world.verify(application, person, fob.code(90))
    both = await ask(world, application, person, fob.code(90), next_code=fob.code(91))
    replayed = await ask(world, application, person, fob.code(90), next_code=fob.code(91))
    later = await world.verify(application, person, fob.code(92))

    assert [one.status_code for one in (alone, both, replayed, later)] == [403, 200, 403, 200]


@pytest.mark.security("S2")
async def test_two_codes_are_compared_with_counters_only(world: World) -> None:
    application, person, _ = await somebody(world)
    code = world.code(person)

    answer = await ask(world, application, person, code, next_code=world.code(person, steps=1))

    assert reason_of(answer) == "wrong_code"
    assert (await world.verify(application, person, code)).status_code == 200


@pytest.mark.security("S2")
async def test_a_guess_on_a_counter_costs_four(world: World) -> None:
    application, person, fob = await somebody(world)
    wrong, name = world.wrong_code(person), {"authenticator": str(fob.authenticator_id)}

    answers = [await ask(world, application, person, wrong, **name) for _ in range(4)]

    assert Counter(map(reason_of, answers)) == {"wrong_code": 2, "budget": 2}
    rows = await world.rows("SELECT spent FROM subject WHERE id = $1", person.subject_ref)
    assert 7.9 < float(str(rows[0]["spent"])) <= 8.0


@pytest.mark.security("S2")
async def test_more_counters_than_one_guess_may_hit_have_to_be_named(world: World) -> None:
    application, person, first = await somebody(world)
    others = [await with_fob(world, person) for _ in range(2)]

    unnamed = await world.verify(application, person, first.code(0))
    name = {"authenticator": str(others[1].authenticator_id)}
    named = await ask(world, application, person, others[1].code(0), **name)

    assert reason_of(unnamed) == "too_many_at_once"
    assert named.status_code == 200


async def test_an_idempotency_key_belongs_to_the_next_code_too(world: World) -> None:
    application, person, fob = await somebody(world)
    key = {"idempotency_key": uuid4().hex}
    two = {"next_code": fob.code(1)}

    first = await ask(world, application, person, fob.code(0), **two, **key)
    again = await ask(world, application, person, fob.code(0), **two, **key)
    other = await ask(world, application, person, fob.code(0), **key)

    assert first.json()["event_id"] == again.json()["event_id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.security("S4")
@pytest.mark.parametrize("lane", ["fast", "app"])
@pytest.mark.parametrize(
    "next_code",
    ["", "12345", "123456789", "123456 ", "\u0661\u0662\u0663\u0664\u0665\u0666", 123456],
)
async def test_refuses_other_forms_of_the_next_code(
    world: World, next_code: object, lane: str
) -> None:
    application = await world.application()
    headers = {"Authorization": f"Bearer {application.key}"}
    # A second header of a name is not the fast lane's.
    more = [("X-Other", "1"), ("X-Other", "2")] if lane == "app" else []
    body = {"subject": "a@example.org", "code": "123456", "next_code": next_code}

    answer = await world.public.post("/v1/verify", json=body, headers=[*headers.items(), *more])

    assert answer.status_code == 422
    assert "123456" not in answer.text
