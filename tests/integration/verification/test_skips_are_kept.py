"""What was put off is kept: for repeats, for who becomes known, until somebody is deleted."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.verification.store import skips
from tests.fixtures.servers import RunningServers
from tests.integration.verification.conftest import World
from tests.integration.verification.skipping import (
    STRANGER,
    arrives,
    is_deleted,
    left,
    nudging,
    skip,
)
from tests.integration.verification.test_clock import strict
from tests.integration.verification.test_rules_attacked import next_policy


async def test_a_repeat_costs_nothing_and_gets_the_same_answer(world: World) -> None:
    application = await world.application(rules=(nudging(1),))
    key = uuid4().hex

    first = await skip(world, application, STRANGER, key=key)
    again = await asyncio.gather(*(skip(world, application, STRANGER, key=key) for _ in range(3)))
    world.clock.forward(timedelta(minutes=14, seconds=50))
    late = await skip(world, application, STRANGER, key=key)
    world.clock.forward(timedelta(seconds=10))
    too_late = await skip(world, application, STRANGER, key=key)

    assert [one.json() for one in (first, *again, late)] == [{"skips_left": 0}] * 5
    assert too_late.status_code == 409


async def test_a_key_that_comes_many_times_at_once_costs_one(world: World) -> None:
    application = await world.application(rules=(nudging(5),))
    key = uuid4().hex

    answers = await asyncio.gather(*(skip(world, application, STRANGER, key=key) for _ in range(6)))

    assert [one.json() for one in answers] == [{"skips_left": 4}] * 6


async def test_a_key_belongs_to_one_request_of_one_application(world: World) -> None:
    application = await world.application(rules=(nudging(5),))
    other = await world.application(tenant=application.tenant, rules=(nudging(5),))
    key = uuid4().hex
    await skip(world, application, STRANGER, key=key)

    reused = await skip(world, application, "somebody@example.org", key=key)
    elsewhere = await skip(world, other, STRANGER, key=key)

    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert elsewhere.json() == {"skips_left": 3}


async def test_a_refusal_is_no_answer_that_is_repeated(world: World) -> None:
    application = await world.application(rules=(nudging(0),))
    key = uuid4().hex
    assert (await skip(world, application, STRANGER, key=key)).status_code == 409

    await next_policy(world, application, nudging(1))

    assert (await skip(world, application, STRANGER, key=key)).json() == {"skips_left": 0}


async def test_what_a_stranger_has_put_off_counts_when_policy_says_who_they_are(
    world: World,
) -> None:
    application = await world.application(rules=(nudging(2),))
    assert (await skip(world, application, STRANGER)).json() == {"skips_left": 1}

    person = await arrives(world, application.tenant, name=STRANGER)

    assert await left(world, application, STRANGER) == 1
    [row] = await world.rows("SELECT subject_ref FROM skip")
    assert row["subject_ref"] == person.subject_ref


@pytest.mark.parametrize("counted_as_stranger", [True, False])
async def test_a_deletion_erases_what_was_counted(world: World, counted_as_stranger: bool) -> None:
    application = await world.application(rules=(nudging(2),))
    if counted_as_stranger:
        await skip(world, application, STRANGER)
    person = await arrives(world, application.tenant, name=STRANGER)
    if not counted_as_stranger:
        await skip(world, application, person.name)
    await skip(world, application, "somebody-else@example.org")

    await is_deleted(world, person)

    [row] = await world.rows("SELECT subject_ref FROM skip")
    assert row["subject_ref"] is None


async def test_old_answers_and_what_was_counted_of_nobody_go(world: World) -> None:
    application = await world.application(rules=(nudging(3),))
    person = await arrives(world, application.tenant)
    for name in (person.name, STRANGER):
        await skip(world, application, name, key=uuid4().hex)
    worker, minutes = world.plumbing.worker_pool, timedelta(minutes=15)

    await skips.delete_old(worker, answers=minutes, strangers=timedelta(days=400))
    kept = await world.rows("SELECT 1 FROM skip_answer UNION ALL SELECT 2 FROM skip")
    await world.rows("UPDATE skip_answer SET at = at - interval '16 minutes' RETURNING 1")
    await world.rows("UPDATE skip SET skipped_at = skipped_at - interval '401 days' RETURNING 1")
    await skips.delete_old(worker, answers=minutes, strangers=timedelta(days=400))

    assert len(kept) == 4
    assert await world.rows("SELECT 1 FROM skip_answer") == []
    assert await world.rows("SELECT subject_ref FROM skip") == [{"subject_ref": person.subject_ref}]


async def test_it_works_with_policy_away(world: World) -> None:
    application = await world.application(rules=(nudging(1),))
    person = await arrives(world, application.tenant)

    world.owners.down = True

    assert (await skip(world, application, person.name)).json() == {"skips_left": 0}
    assert await left(world, application, person.name) == 0


async def test_without_the_policy_nothing_is_put_off(world: World) -> None:
    application = await world.application(with_policy=False)

    answer = await skip(world, application, STRANGER)

    assert (answer.status_code, answer.json()["code"]) == (503, "policy_unknown")


@pytest.mark.fault("R27")
async def test_a_node_whose_clock_is_off_puts_nothing_off(
    world: World, servers: RunningServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application(rules=(nudging(1),))
    async with strict(world, servers, tmp_path) as node:
        monkeypatch.setattr(type(node.parts.watch), "clock_is_off", True)
        refused = await skip(node, application, STRANGER)
        decided = await node.decide(application, STRANGER)

    assert (refused.status_code, refused.json()["code"]) == (503, "clock_off")
    assert decided.json()["skips_left"] == 1, "a rule without a time is no matter of time"
    assert await left(world, application, STRANGER) == 1
