"""One Idempotency-Key for several requests at once: one acceptance, one answer."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fixtures.servers import RunningServers
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.factors import ALL, with_pin
from tests.integration.verification.test_attacks_on_repeats import waiting_for_locks
from tests.integration.verification.test_last_word import change, with_warm_cache

PIN = "48291357"


@pytest.mark.security("S6")
async def test_one_key_for_two_people_at_once_accepts_one_of_them(world: World) -> None:
    application = await world.application()
    for _ in range(5):
        crowd = [await world.person(application.tenant) for _ in range(4)]
        key = uuid4().hex
        answers = await asyncio.gather(
            *(world.verify(application, one, world.code(one), idempotency_key=key) for one in crowd)
        )

        assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]
        events = [await world.events(one) for one in crowd]
        assert sum(seen.count("mfa.verified") for seen in events) == 1


@pytest.mark.security("S6")
async def test_one_key_for_two_people_in_two_processes_accepts_one_of_them(
    world: World, servers: RunningServers, tmp_path: Path
) -> None:
    application = await world.application()
    first, second = [await world.person(application.tenant) for _ in range(2)]
    key = uuid4().hex
    holder = await world.stored.superuser()
    async with running_world(world.stored, servers.valkey_url, tmp_path) as other:
        held = holder.transaction()
        await held.start()
        await holder.execute(
            "SELECT 1 FROM authenticator WHERE id = $1 FOR UPDATE", second.authenticator_id
        )
        # Begun before the other one's answer was there to be seen, and ended after it.
        late = asyncio.create_task(
            other.verify(application, second, other.code(second), idempotency_key=key)
        )
        await until(lambda: waiting_for_locks(world, 1))
        early = await world.verify(application, first, world.code(first), idempotency_key=key)
        await held.rollback()
        answer = await late
    await holder.close()

    assert (early.status_code, answer.status_code) == (200, 422)
    assert "mfa.verified" not in await world.events(second)
    assert (await world.verify(application, second, world.code(second))).status_code == 200


@pytest.mark.fault("R10")
async def test_a_pin_under_one_key_in_two_processes_is_announced_once(
    world: World, servers: RunningServers, tmp_path: Path
) -> None:
    application = await world.application(factors=ALL)
    person = await world.person(application.tenant)
    await with_pin(world, person, PIN)
    async with running_world(world.stored, servers.valkey_url, tmp_path) as other:
        for number in range(1, 9):
            key = uuid4().hex
            answers = await asyncio.gather(
                *(
                    one.verify(application, person, PIN, idempotency_key=key)
                    for one in (world, other) * 2
                )
            )

            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.json()["event_id"] for answer in answers}) == 1
            assert (await world.events(person)).count("mfa.verified") == number


@pytest.mark.security("S6")
async def test_a_revoked_key_is_not_even_told_the_first_answer(world: World) -> None:
    application, person = await with_warm_cache(world)
    code, key = world.code(person), uuid4().hex
    first = await world.verify(application, person, code, idempotency_key=key)
    await change(
        world,
        "UPDATE replica SET version = 2, state = jsonb_set(jsonb_set(state, '{version}', '2'),"
        " '{keys,0,revoked}', 'true') WHERE topic = 'mfa.applications' AND tenant_id = $1",
        application.tenant,
    )

    repeat = await world.verify(application, person, code, idempotency_key=key)

    assert (first.status_code, repeat.status_code) == (200, 401)
    rows = await world.rows("SELECT consecutive FROM subject WHERE id = $1", person.subject_ref)
    assert rows == [{"consecutive": 0}]


async def test_a_repeat_after_another_change_of_the_application_gets_the_first_answer(
    world: World,
) -> None:
    application, person = await with_warm_cache(world)
    code, key = world.code(person), uuid4().hex
    first = await world.verify(application, person, code, idempotency_key=key)
    await change(
        world,
        "UPDATE replica SET version = 2, state = jsonb_set(state, '{version}', '2')"
        " WHERE topic = 'mfa.applications' AND tenant_id = $1",
        application.tenant,
    )

    repeat = await world.verify(application, person, code, idempotency_key=key)

    assert repeat.json()["event_id"] == first.json()["event_id"]
