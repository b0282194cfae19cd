"""A process without files, memory, log space or time, in short; `make chaos` has the long form."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.integration.verification import limits_runs
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.test_one_acceptance import broken

Record = Callable[[str, object], None]
pytestmark = [
    pytest.mark.fault("R32"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Let go of torn connections here, where nobody minds that they were not closed in order."""
    yield
    gc.collect()


async def test_a_process_that_runs_out_of_something_accepts_nothing_by_mistake(
    world: World, record_property: Record
) -> None:
    numbers = await limits_runs.limits_run(world, people=5)

    record_property("numbers", numbers)
    assert numbers["answers_503"] > 0
    assert broken(numbers) == {}, numbers


async def test_a_blocked_event_loop_is_seen_and_accepts_nothing_by_mistake(
    servers: RunningServers, service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    stored = await service_database("verification")
    async with running_world(stored, servers.valkey_url, tmp_path) as world:
        numbers = await limits_runs.blocked_run(world)

    record_property("numbers", numbers)
    assert broken(numbers) == {}, numbers
