"""A row that somebody else has locked fails alone, and at once for everybody else."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from services.verification.domain.budget import Budget
from services.verification.settle import Settler
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.test_last_word import REASONS
from tests.integration.verification.test_settler import ended, failure_of

Record = Callable[[str, object], None]
_SUBJECTS = "SELECT 1 FROM subject WHERE id = ANY($1) FOR UPDATE"
# As a new state of the application takes it, before it is committed.
_APPLICATION = (
    "UPDATE replica SET recorded = now()"
    " WHERE tenant_id = ANY($1) AND topic = 'mfa.applications' AND version = 1"
)


@asynccontextmanager
async def locked(world: World, statement: str, ids: Sequence[object]) -> AsyncIterator[None]:
    holder = await world.stored.superuser()
    try:
        async with holder.transaction():
            await holder.execute(statement, ids)
            yield
    finally:
        await holder.close()


async def timed(world: World, application: Application, person: Person) -> tuple[int, float]:
    begun = time.monotonic()
    answer = await world.verify(application, person, world.code(person))
    return answer.status_code, time.monotonic() - begun


@pytest.mark.fault("R15")
async def test_ten_locked_rows_fail_alone_and_delay_nobody(
    world: World, record_property: Record
) -> None:
    application = await world.application(scopes=REASONS)
    hot = [await world.person(application.tenant) for _ in range(10)]
    others = [await world.person(application.tenant) for _ in range(20)]
    async with locked(world, _SUBJECTS, [one.subject_ref for one in hot]):
        answers = await asyncio.gather(
            *(timed(world, application, person) for person in (*hot, *others))
        )
    stuck, settled = answers[:10], answers[10:]

    record_property("numbers", [max(took for _, took in part) for part in (stuck, settled)])
    assert {status for status, _ in stuck} == {503}
    assert {status for status, _ in settled} == {200}
    assert max(took for _, took in settled) < 0.45
    # All ten together, not one after the other.
    assert max(took for _, took in stuck) < 1.5
    again = await asyncio.gather(*(timed(world, application, person) for person in hot))
    assert {status for status, _ in again} == {200}
    for person in (*hot, *others):
        assert await world.events(person) == ["mfa.credential_claimed", "mfa.verified"]


@pytest.mark.fault("R15")
async def test_a_row_that_is_let_go_in_time_costs_nobody_an_answer(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    async with locked(world, _SUBJECTS, [person.subject_ref]):
        asked = asyncio.create_task(world.verify(application, person, world.code(person)))
        await asyncio.wait([asked], timeout=0.1)
        waited = not asked.done()

    assert waited
    assert (await asked).status_code == 200


@pytest.mark.fault("R15")
async def test_an_application_whose_state_is_being_changed_delays_no_other(world: World) -> None:
    changing, other = await world.application(), await world.application()
    person, neighbour = await world.person(changing.tenant), await world.person(other.tenant)
    async with locked(world, _APPLICATION, [changing.tenant]):
        stuck, settled = await asyncio.gather(
            timed(world, changing, person), timed(world, other, neighbour)
        )

    # Not "refused": nobody knows yet what the change will say.
    assert stuck[0] == 503
    assert settled[0] == 200
    assert settled[1] < 0.45
    assert (await timed(world, changing, person))[0] == 200
    assert (await world.events(person)).count("mfa.verification_failed") == 0


@pytest.mark.fault("R15")
async def test_failures_of_a_locked_row_are_counted_once_it_is_free(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    settler = Settler(
        world.stored.dsn("verification_settle"),
        budget=Budget(capacity=1000, per_day=20, consecutive=1000),
    )
    failures = [await failure_of(world, person) for _ in range(20)]
    async with locked(world, _SUBJECTS, [person.subject_ref]):
        asked = [asyncio.create_task(settler.settle(one)) for one in failures]
        await asyncio.wait(asked, timeout=0.05)

    assert sum((await ended(asked)).values()) == 20
    assert (await world.events(person)).count("mfa.verification_failed") == 20
    over = asyncio.Event()
    over.set()
    await settler.run(over)
