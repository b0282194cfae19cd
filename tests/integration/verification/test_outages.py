"""Servers that die and callers that go away, in their short form; `make chaos` has the long one."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from services.verification.entries import Entry, Settled
from services.verification.settle import Settler
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.integration.verification import cancel_runs, grounds, outage_runs
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.test_one_acceptance import broken

Record = Callable[[str, object], None]
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Let go of torn connections here, where nobody minds that they were not closed in order."""
    yield
    gc.collect()


@pytest.mark.fault("R4")
@pytest.mark.security("S2")
async def test_a_redis_that_is_lost_again_and_again_opens_no_door(
    service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    stored = await service_database("verification")
    async with (
        grounds.own_valkey(tmp_path) as valkey,
        running_world(stored, valkey.url(), tmp_path) as world,
    ):
        numbers = await outage_runs.cache_loss_run(
            world, valkey, attackers=16, seconds=4, kill_every=0.4
        )

    record_property("numbers", numbers)
    assert numbers["kills"] >= 3
    assert numbers["emptied"] >= 20
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R11")
async def test_callers_that_go_away_leave_nothing_behind(
    world: World, record_property: Record
) -> None:
    numbers = await cancel_runs.cancel_run(world, people=60, requests=400, replies=2000)

    record_property("numbers", numbers)
    assert min(numbers["cancelled"], numbers["cancelled_replies"], numbers["accepted"]) > 20
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R12")
async def test_a_postgresql_that_dies_takes_no_acceptance_with_it(
    servers: RunningServers, tmp_path: Path, record_property: Record
) -> None:
    async with grounds.own_postgres(tmp_path) as (postgres, place):
        stored = await grounds.new_database(place)
        async with running_world(stored, servers.valkey_url, tmp_path) as world:
            numbers = await outage_runs.database_death_run(world, postgres, deaths=2, people=10)

    record_property("numbers", numbers)
    assert numbers["answers_503"] > 0
    assert numbers["slowest_answer_ms"] < 6000
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R12")
@pytest.mark.parametrize(
    "error",
    [
        # asyncpg says this where a connection dies at a bad moment; found by `make chaos`.
        asyncpg.InternalClientError("another operation is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.PostgresError("unknown"),
        ConnectionResetError("reset"),
        TimeoutError("slow"),
    ],
)
async def test_settling_goes_on_after_a_broken_connection(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def break_down(self: Settler, entries: list[Entry]) -> dict[int, Settled]:
        raise error

    application = await world.application()
    person = await world.person(application.tenant)
    with monkeypatch.context() as patched:
        patched.setattr(Settler, "_write", break_down)
        broken_down = await asyncio.wait_for(
            world.verify(application, person, world.code(person)), 5
        )
    answer = await asyncio.wait_for(world.verify(application, person, world.code(person)), 5)

    assert (broken_down.status_code, broken_down.json()["code"]) == (503, "authority_unavailable")
    assert answer.status_code == 200
