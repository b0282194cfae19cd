"""After a standby was promoted: nothing that may have been accepted before is accepted again."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from services.verification.domain.promotion import RECOVERY_CODES_WAIT
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.integration.verification.conftest import (
    Application,
    Person,
    World,
    reason_of,
    running_world,
)
from tests.integration.verification.factors import (
    ALL,
    CODES,
    REASONS,
    ask,
    with_codes,
    with_fob,
    with_pin,
)
from tests.integration.verification.test_last_word import change

# Answers are compared whole, and the id of a trace would stand in them.
pytestmark = [pytest.mark.fault("R14"), pytest.mark.usefixtures("untraced")]


async def promote(world: World) -> None:
    """Have PostgreSQL run on a timeline that is not the one that was noted, as a standby would."""
    await change(world, "UPDATE promotion SET timeline = timeline - 1")


async def somebody(world: World) -> tuple[Application, Person]:
    application = await world.application(scopes=REASONS, factors=ALL)
    return application, await world.person(application.tenant)


async def test_a_code_of_before_waits_and_costs_nothing(world: World) -> None:
    application, person = await somebody(world)
    await promote(world)
    codes = [world.code(person, steps=steps) for steps in (-1, 0, 1)] * 5

    answers = [await world.verify(application, person, code) for code in codes]

    assert {(one.status_code, reason_of(one)) for one in answers} == {(403, "after_failover")}
    assert all(0 < int(one.headers["retry-after"]) <= 66 for one in answers)
    events = await world.events(person)
    assert events.count("mfa.verification_failed") == len(codes)
    assert "mfa.locked" not in events
    rows = await world.rows(
        "SELECT consecutive, spent FROM subject WHERE id = $1", person.subject_ref
    )
    assert rows == [{"consecutive": 0, "spent": 0.0}]
    world.clock.forward(timedelta(seconds=int(answers[0].headers["retry-after"])))
    assert (await world.verify(application, person, world.code(person))).status_code == 200


async def test_a_wrong_code_is_still_a_wrong_code(world: World) -> None:
    application, person = await somebody(world)
    await promote(world)

    answer = await world.verify(application, person, world.wrong_code(person))

    assert reason_of(answer) == "wrong_code"


async def test_strangers_hear_nothing_of_it(world: World) -> None:
    application, person = await somebody(world)
    plain = await world.application(tenant=application.tenant, factors=ALL)
    await promote(world)

    answers = [
        await world.verify(plain, person, code)
        for code in (world.code(person), world.wrong_code(person))
    ]

    assert len({(one.status_code, one.content) for one in answers}) == 1
    assert all("retry-after" not in one.headers for one in answers)


async def test_a_counter_takes_two_codes_and_then_one_again(world: World) -> None:
    application, person = await somebody(world)
    fob = await with_fob(world, person)
    assert (await ask(world, application, person, fob.code(0))).status_code == 200
    await promote(world)

    one = await ask(world, application, person, fob.code(1))
    two = await ask(world, application, person, fob.code(1), next_code=fob.code(2))
    after = await ask(world, application, person, fob.code(3))

    assert (one.status_code, reason_of(one)) == (403, "after_failover")
    assert "retry-after" not in one.headers
    assert (two.status_code, after.status_code) == (200, 200)


async def test_a_counter_that_was_enrolled_afterwards_needs_one_code(world: World) -> None:
    application, person = await somebody(world)
    await promote(world)
    await world.verify(application, person, world.code(person))
    fob = await with_fob(world, person)

    assert (await ask(world, application, person, fob.code(0))).status_code == 200


async def test_recovery_codes_wait_and_pins_are_as_good_as_before(world: World) -> None:
    application, person = await somebody(world)
    await with_codes(world, person)
    await with_pin(world, person, "48291357")
    await promote(world)

    pin = await world.verify(application, person, "48291357")
    early = await world.verify(application, person, CODES[0])
    await change(
        world, "UPDATE promotion SET fenced_at = fenced_at - $1::interval", RECOVERY_CODES_WAIT
    )
    late = await world.verify(application, person, CODES[0])

    assert (pin.status_code, late.status_code) == (200, 200)
    assert (early.status_code, reason_of(early)) == (403, "after_failover")
    assert int(early.headers["retry-after"]) >= RECOVERY_CODES_WAIT.total_seconds() - 5


async def test_every_process_sees_the_fence_and_it_is_written_once(
    world: World, servers: RunningServers, tmp_path: Path
) -> None:
    application, person = await somebody(world)
    async with running_world(world.stored, servers.valkey_url, tmp_path) as other:
        await promote(world)
        answers = await asyncio.gather(
            *(one.verify(application, person, world.code(person)) for one in (world, other) * 4)
        )

    assert {reason_of(answer) for answer in answers} == {"after_failover"}
    assert await world.rows("SELECT fences FROM promotion") == [{"fences": 1}]


async def test_without_the_quarantine_nobody_waits(
    servers: RunningServers, service_database: MakeDatabase, tmp_path: Path
) -> None:
    stored = await service_database("verification")
    async with running_world(stored, servers.valkey_url, tmp_path, quarantine=False) as world:
        application, person = await somebody(world)
        fob = await with_fob(world, person)
        await promote(world)
        totp = await world.verify(application, person, world.code(person))
        hotp = await ask(world, application, person, fob.code(0))

    assert (totp.status_code, hotp.status_code) == (200, 200)
