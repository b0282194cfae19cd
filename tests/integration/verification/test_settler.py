"""How settling ends: what waits gets its answer, what comes later is refused."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from contracts.verification import FailureReason
from libs.ids import new_id
from services.verification import announcements
from services.verification.domain.budget import Budget, Family
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.entries import Entry, KnownCaller, Settled
from services.verification.settle import AuthorityDown, Settler
from tests.fixtures.fault_proxy import fault_proxy
from tests.integration.verification.conftest import Person, World

pytestmark = pytest.mark.fault("R10")
PATIENCE = 8
NOBODY_LISTENS = "postgresql://nobody@127.0.0.1:9/nothing"


def settler_on(dsn: str) -> Settler:
    budget = Budget(capacity=1000, per_day=20, consecutive=1000)
    return Settler(dsn, budget=budget)


async def failure_of(world: World, person: Person) -> Entry:
    now = world.clock()
    of: dict[str, Any] = {"tenant": person.tenant, "subject_ref": person.subject_ref}
    key = await world.plumbing.data_keys.newest(tenant=person.tenant, purpose=LOOKUP)
    return Entry(
        caller=KnownCaller(person.tenant, new_id(), 1, 1),
        subject_ref=person.subject_ref,
        lookup=lookup_digest(key.key, person.name),
        now=now,
        weight=1,
        charged=False,
        family=Family.CODES,
        acceptance=None,
        event=announcements.verification_failed(
            application_id=new_id(),
            authenticator_id=person.authenticator_id,
            reason=FailureReason.WRONG_CODE,
            now=now,
            traceparent=None,
            **of,
        ),
        lock_event=announcements.locked(now=now, traceparent=None, **of),
    )


async def settled_by(settler: Settler, entry: Entry) -> Settled:
    return await settler.settle(entry)


async def ended(asked: Sequence[Awaitable[Settled]]) -> Counter[object]:
    """Return how everything ended; fails where something does not."""
    ends = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), PATIENCE)
    return Counter(type(end) for end in ends)


async def test_what_waits_when_settling_stops_is_settled(world: World) -> None:
    person = await world.person(uuid4())
    settler, stop = settler_on(world.stored.dsn("verification_settle")), asyncio.Event()
    # Of one person, so that each needs a batch of its own.
    failures = [await failure_of(world, person) for _ in range(20)]
    asked = [asyncio.create_task(settled_by(settler, one)) for one in failures]
    await asyncio.sleep(0)
    stop.set()

    await asyncio.wait_for(settler.run(stop), PATIENCE)

    assert await ended(asked) == {Settled: 20}
    assert (await world.events(person)).count("mfa.verification_failed") == 20


async def test_what_comes_while_settling_stops_is_settled_or_refused(world: World) -> None:
    person = await world.person(uuid4())
    settler, stop = settler_on(world.stored.dsn("verification_settle")), asyncio.Event()
    running = asyncio.create_task(settler.run(stop))
    asked = []
    for number in range(60):
        asked.append(asyncio.create_task(settled_by(settler, await failure_of(world, person))))
        await asyncio.sleep(0.001)
        if number == 20:
            stop.set()
    await asyncio.wait_for(running, PATIENCE)
    asked.append(asyncio.create_task(settled_by(settler, await failure_of(world, person))))

    ends = await ended(asked)

    assert set(ends) == {Settled, AuthorityDown}
    assert (await world.events(person)).count("mfa.verification_failed") == ends[Settled]


async def test_what_waits_when_settling_stops_without_postgresql_is_refused(world: World) -> None:
    crowd = [await world.person(uuid4()) for _ in range(3)]
    settler, stop = settler_on(NOBODY_LISTENS), asyncio.Event()
    failures = [await failure_of(world, person) for person in crowd * 2]
    asked = [asyncio.create_task(settled_by(settler, one)) for one in failures]
    await asyncio.sleep(0)
    stop.set()

    await asyncio.wait_for(settler.run(stop), PATIENCE)

    assert await ended(asked) == {AuthorityDown: 6}


async def test_what_waits_when_settling_is_torn_down_gets_an_end(world: World) -> None:
    person = await world.person(uuid4())
    settler = settler_on(world.stored.dsn("verification_settle"))
    running = asyncio.create_task(settler.run(asyncio.Event()))
    failures = [await failure_of(world, person) for _ in range(3)]
    asked = [asyncio.create_task(settled_by(settler, one)) for one in failures]
    await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait((running,))

    ends = await ended(asked)

    assert ends[AuthorityDown] + ends[Settled] == 3


async def test_settling_stops_in_order_while_postgresql_does_not_answer(world: World) -> None:
    person = await world.person(uuid4())
    servers = world.stored.servers
    async with fault_proxy("127.0.0.1", servers.postgres_port) as proxy:
        behind = replace(world.stored, servers=replace(servers, postgres_port=proxy.port))
        settler, stop = settler_on(behind.dsn("verification_settle")), asyncio.Event()
        running = asyncio.create_task(settler.run(stop))
        await settler.settle(await failure_of(world, person))
        proxy.swallow()
        stop.set()

        await asyncio.wait_for(running, PATIENCE)
