"""What a process keeps in memory for a moment cannot make it accept."""

import asyncio
from uuid import uuid4

import pytest

from services.verification.domain.budget import Budget
from services.verification.settle import Settler
from tests.integration.verification.conftest import World, reason_of
from tests.integration.verification.test_last_word import REASONS, change, with_warm_cache
from tests.integration.verification.test_settler import failure_of


@pytest.mark.security("S6")
async def test_a_key_that_another_process_heard_revoked_gets_nothing_accepted(
    world: World,
) -> None:
    application, person = await with_warm_cache(world)
    # As policy's event, or its push to another process, would change it; this one keeps the caller.
    await change(
        world,
        "UPDATE replica SET version = 2, state = jsonb_set(jsonb_set(state, '{version}', '2'),"
        " '{keys,0,revoked}', 'true') WHERE topic = 'mfa.applications' AND tenant_id = $1",
        application.tenant,
    )

    answer = await world.verify(application, person, world.code(person))

    assert answer.status_code == 401
    assert (await world.events(person)).count("mfa.verified") == 1
    rows = await world.rows("SELECT spent FROM subject WHERE id = $1", person.subject_ref)
    assert float(str(rows[0]["spent"])) == 0.0


@pytest.mark.security("S6")
async def test_a_factor_that_another_process_heard_forbidden_opens_nothing(world: World) -> None:
    application, person = await with_warm_cache(world)
    await change(
        world,
        "UPDATE replica SET version = 2, state = jsonb_set(jsonb_set(state, '{version}', '2'),"
        " '{factors}', '[\"pin\"]') WHERE topic = 'mfa.policies' AND tenant_id = $1",
        application.tenant,
    )

    answer = await world.verify(application, person, world.code(person))

    assert (answer.status_code, reason_of(answer)) == (403, "nothing_enrolled")
    assert (await world.events(person)).count("mfa.verified") == 1


async def test_another_key_of_the_same_application_disturbs_nobody(world: World) -> None:
    application, person = await with_warm_cache(world)
    await change(
        world,
        "UPDATE replica SET version = 2, state = jsonb_set(state, '{version}', '2')"
        " WHERE topic = 'mfa.applications' AND tenant_id = $1",
        application.tenant,
    )

    assert (await world.verify(application, person, world.code(person))).status_code == 200


@pytest.mark.security("S6")
async def test_a_name_that_has_become_somebody_elses_opens_nothing_of_the_first(
    world: World,
) -> None:
    application, person = await with_warm_cache(world)
    await change(
        world, "UPDATE subject SET lookup = $2 WHERE id = $1", person.subject_ref, b"another name"
    )

    right = await world.verify(application, person, world.code(person))
    wrong = await world.verify(application, person, world.wrong_code(person))

    assert [reason_of(answer) for answer in (right, wrong)] == ["nothing_enrolled"] * 2
    assert (await world.events(person)).count("mfa.verified") == 1


async def test_a_used_idempotency_key_spends_no_other_persons_code(world: World) -> None:
    application, person = await with_warm_cache(world)
    other, key = await world.person(application.tenant), uuid4().hex
    await world.verify(application, person, world.code(person), idempotency_key=key)

    answer = await world.verify(application, other, world.code(other), idempotency_key=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (await world.verify(application, other, world.code(other))).status_code == 200


@pytest.mark.fault("R3")
@pytest.mark.security("S2")
async def test_two_processes_count_every_failure_of_one_person(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    budget = Budget(capacity=1000, per_day=20, consecutive=1000)
    dsn = world.stored.dsn("verification_settle")
    settlers = [Settler(dsn, budget=budget) for _ in range(4)]
    failures = [await failure_of(world, person) for _ in range(80)]

    await asyncio.gather(
        *(settlers[n % len(settlers)].settle(one) for n, one in enumerate(failures))
    )

    rows = await world.rows(
        "SELECT consecutive, spent FROM subject WHERE id = $1", person.subject_ref
    )
    assert rows[0]["consecutive"] == 80
    assert float(str(rows[0]["spent"])) == pytest.approx(80, abs=0.1)
    over = asyncio.Event()
    over.set()
    await asyncio.gather(*(settler.run(over) for settler in settlers))
