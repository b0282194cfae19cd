"""Idempotency-Keys of one application, used crosswise in two processes: whom does that stop?"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from contracts.verification import FailureReason
from libs.ids import new_id
from services.verification import announcements
from services.verification.domain.budget import Budget, Family
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.entries import Acceptance, Entry, Idempotency, KnownCaller, Settled
from services.verification.settle import Settler
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.test_attacks_on_repeats import waiting_for_locks

_UNFINISHED = (
    "INSERT INTO answer (tenant_id, application_id, idempotency_key, request, event_id,"
    " authenticator_id, factor, at) VALUES ($1, $2, $3, $3, $4, $4, 'totp', now())"
)


async def version_of(world: World, person: Person) -> int:
    """Return what a copy of the person would be of, read now."""
    query = "SELECT cache_version FROM subject WHERE id = $1"
    [row] = await world.rows(query, person.subject_ref)
    return int(str(row["cache_version"]))


async def entry(
    world: World, application: Application, person: Person, key: bytes | None, step: int
) -> Entry:
    """Return a right code of this person; without a key it stands for a wrong one."""
    now, tenant = world.clock(), person.tenant
    lookup = await world.plumbing.data_keys.newest(tenant=tenant, purpose=LOOKUP)
    about: dict[str, Any] = {
        "tenant": tenant,
        "subject_ref": person.subject_ref,
        "application_id": application.application_id,
        "authenticator_id": person.authenticator_id,
    }
    if key is None:
        event = announcements.verification_failed(
            reason=FailureReason.WRONG_CODE, now=now, traceparent=None, **about
        )
        acceptance = None
    else:
        event = announcements.verified(factor="totp", now=now, traceparent=None, **about)
        acceptance = Acceptance(
            person.authenticator_id, 1, step, Idempotency(key, key), await version_of(world, person)
        )
    return Entry(
        caller=KnownCaller(tenant, application.application_id, 1, 1),
        subject_ref=person.subject_ref,
        lookup=lookup_digest(lookup.key, person.name),
        now=now,
        weight=1,
        charged=False,
        family=Family.CODES,
        acceptance=acceptance,
        event=event,
        lock_event=None,
    )


def settle_together(settler: Settler, entries: Sequence[Entry]) -> "asyncio.Future[list[object]]":
    return asyncio.gather(*(settler.settle(one) for one in entries), return_exceptions=True)


@pytest.mark.fault("R15")
@pytest.mark.parametrize(
    "others",
    [
        pytest.param([b"1", b"x", b"2"], id="in one order"),
        pytest.param([b"2", b"x", b"1"], id="crosswise"),
    ],
)
async def test_keys_used_in_two_processes_at_once_stop_no_other_tenant(
    world: World, others: list[bytes]
) -> None:
    hostile, honest = await world.application(), await world.application()
    # Settle takes people in the order of their references within a tenant.
    crowd = sorted(
        [await world.person(hostile.tenant) for _ in range(6)], key=lambda one: one.subject_ref
    )
    bystanders = [await world.person(honest.tenant) for _ in range(2)]
    dsn, step = world.stored.dsn("verification_settle"), int(world.clock().timestamp()) // 30
    budget = Budget(capacity=10, per_day=20, consecutive=50)
    settlers = [Settler(dsn, budget=budget), Settler(dsn, budget=budget)]
    batches = []
    for n, keys in enumerate(([b"1", b"x", b"2"], others)):
        mine = [
            await entry(world, hostile, person, key, step)
            for person, key in zip(crowd[3 * n : 3 * n + 3], keys, strict=True)
        ]
        batches.append([*mine, await entry(world, honest, bystanders[n], None, step)])
    # Its connections are open.
    for settler, person in zip(settlers, bystanders, strict=True):
        await settler.settle(await entry(world, honest, person, None, step))

    holder = await world.stored.superuser()
    held = holder.transaction()
    await held.start()
    # A third process is about to commit under the key in the middle, and then does not.
    await holder.execute(_UNFINISHED, hostile.tenant, hostile.application_id, b"x", new_id())
    asked = [settle_together(*one) for one in zip(settlers, batches, strict=True)]
    await until(lambda: waiting_for_locks(world, 2))
    await held.rollback()
    ended = [await one for one in asked]
    await holder.close()
    over = asyncio.Event()
    over.set()
    for settler in settlers:
        await settler.run(over)

    # Whatever becomes of the keys: a wrong code of another tenant was counted, and answered.
    assert [isinstance(one[-1], Settled) for one in ended] == [True, True], ended
