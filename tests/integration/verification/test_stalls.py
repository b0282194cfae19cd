"""PostgreSQL frozen, fought over and out of space, in short; `make chaos` has the long form."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.servers import RunningServers
from tests.integration.verification import grounds, stall_runs
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.test_one_acceptance import broken

Record = Callable[[str, object], None]
pytestmark = [
    pytest.mark.fault("R15"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Let go of torn connections here, where nobody minds that they were not closed in order."""
    yield
    gc.collect()


async def test_nothing_is_accepted_by_a_postgresql_that_is_frozen(
    servers: RunningServers, tmp_path: Path, record_property: Record
) -> None:
    async with grounds.own_postgres(tmp_path) as (postgres, place):
        stored = await grounds.new_database(place)
        async with running_world(stored, servers.valkey_url, tmp_path) as world:
            numbers = await stall_runs.freeze_run(world, postgres, seconds=4, people=10)

    record_property("numbers", numbers)
    assert numbers["answers_503"] > 0
    assert numbers["slowest_answer_ms"] < 6500
    assert broken(numbers) == {}, numbers


async def test_nothing_is_accepted_that_cannot_be_written(
    servers: RunningServers, tmp_path: Path, record_property: Record
) -> None:
    async with grounds.own_postgres(tmp_path) as (postgres, place):
        await postgres.stop()
        async with stall_runs.small_wal(postgres) as mounted:
            if not mounted:
                pytest.skip("nothing can be mounted here")
            await postgres.start()
            stored = await grounds.new_database(place)
            async with running_world(stored, servers.valkey_url, tmp_path) as world:
                numbers = await stall_runs.full_disk_run(world, postgres, people=10)

    record_property("numbers", numbers)
    assert numbers["answers_503"] > 0
    assert broken(numbers) == {}, numbers


async def test_locked_rows_of_one_tenant_slow_down_no_other(
    world: World, record_property: Record
) -> None:
    numbers = await stall_runs.hot_row_run(world, seconds=2, hot=10, people=8)

    record_property("numbers", numbers)
    assert numbers["answers_503"] == 10
    assert numbers["others_p99_meanwhile_ms"] < numbers["others_p99_before_ms"] + 250
    assert broken(numbers) == {}, numbers
