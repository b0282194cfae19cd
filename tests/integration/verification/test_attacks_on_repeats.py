"""Repeats, revocations and copies under attack."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from services.verification.domain.device import Token, written
from services.verification.reserve import Copy, Denied, Refusal
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import World
from tests.integration.verification.factors import ALL, REASONS, with_pin
from tests.integration.verification.test_last_word import change, with_warm_cache

PIN = "48291357"


@pytest.mark.security("S2")
async def test_a_used_idempotency_key_says_nothing_of_a_pin_once_guesses_are_spent(
    world: World,
) -> None:
    application = await world.application(factors=ALL)
    person = await world.person(application.tenant)
    await with_pin(world, person, PIN)
    key = uuid4().hex
    assert (await world.verify(application, person, PIN, idempotency_key=key)).status_code == 200
    await change(
        world, "UPDATE subject SET spent = 10, spent_at = now() WHERE id = $1", person.subject_ref
    )
    await world.redis.flushall()

    guesses = [PIN, "48291358", "11111111"]
    answers = [await world.verify(application, person, one, idempotency_key=key) for one in guesses]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert len({len(answer.content) for answer in answers}) == 1


@pytest.mark.security("S6")
async def test_a_revocation_during_a_settle_that_waits_comes_first(world: World) -> None:
    application, person = await with_warm_cache(world)
    holder = await world.stored.superuser()
    held = holder.transaction()
    await held.start()
    # Not the subject's row: for that one settle does not wait.
    await holder.execute(
        "SELECT 1 FROM authenticator WHERE id = $1 FOR UPDATE", person.authenticator_id
    )
    asked = asyncio.create_task(world.verify(application, person, world.code(person)))
    await until(lambda: waiting_for_locks(world, 1))
    revoked = asyncio.create_task(
        change(
            world,
            "UPDATE replica SET version = 2, state = jsonb_set(jsonb_set(state, '{version}', '2'),"
            " '{keys,0,revoked}', 'true') WHERE topic = 'mfa.applications' AND tenant_id = $1",
            application.tenant,
        )
    )

    async def decided() -> bool:
        return revoked.done() or await waiting_for_locks(world, 2)

    await until(decided)
    first = revoked.done()
    await held.rollback()
    await holder.close()
    await revoked

    # Whichever was first: "effective" and an acceptance after it do not go together.
    assert (await asked).status_code == (401 if first else 200)


async def waiting_for_locks(world: World, number: int) -> bool:
    rows = await world.rows(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return rows[0]["n"] == number


async def test_a_name_that_is_given_again_finds_its_new_owner(world: World) -> None:
    application, person = await with_warm_cache(world)
    await change(
        world, "UPDATE subject SET lookup = NULL, deleted = true WHERE id = $1", person.subject_ref
    )
    await world.cache.tell_changed(person.tenant, person.subject_ref, version=1_000)
    successor = uuid4()
    world.owners.names[successor] = person.name
    again = await world._enroll(application.tenant, successor, person.name, last_step=-1)

    answers = [await world.verify(application, again, world.code(again)) for _ in range(2)]

    assert answers[-1].status_code == 200


async def test_an_old_idempotency_key_can_be_used_anew(world: World) -> None:
    application, person = await with_warm_cache(world)
    key = uuid4().hex
    first = await world.verify(application, person, world.code(person), idempotency_key=key)
    world.clock.forward(timedelta(minutes=16))

    second = await world.verify(application, person, world.code(person), idempotency_key=key)
    repeat = await world.verify(application, person, world.code(person), idempotency_key=key)

    assert [answer.status_code for answer in (first, second, repeat)] == [200] * 3
    assert second.json()["event_id"] == repeat.json()["event_id"] != first.json()["event_id"]


@pytest.mark.parametrize(
    ("version", "generation"), [(2**31, 1), (1, 2**31), (2**32 - 1, 2**32 - 1)]
)
async def test_a_forged_device_token_is_no_more_than_none(
    world: World, version: int, generation: int
) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    token = written(Token(uuid4(), version, generation), b"x" * 32)
    body = {"subject": person.name, "device": token}
    headers = {"Authorization": f"Bearer {application.key}"}

    answer = await world.public.post("/v1/decisions", json=body, headers=headers)

    assert (answer.status_code, answer.json()["decision"]) == (200, "challenge")


@pytest.mark.security("S2")
async def test_a_load_does_not_undo_the_lock_that_came_meanwhile(world: World) -> None:
    application, person = await with_warm_cache(world)
    del application
    place, now = (person.tenant, person.subject_ref), world.clock()
    [kept] = await world.redis.hmget(f"w:{{{person.tenant}/{person.subject_ref}}}", ["v"])
    world.cache.tell_failed(*place, version=int(kept or 0), consecutive=50, level=1.0, at=now)

    await world.cache.fill(
        *place, copy=Copy(int(kept or 0), None, (), True, ()), level=1.0, at=now, consecutive=49
    )

    answer = await world.cache.reserve(*place, now=now, tried_on="6")
    assert isinstance(answer, Refusal)
    assert answer.why is Denied.LOCKED
