"""Everything dies at once, in short; `make chaos` has the long form."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.verification import grounds, power_runs
from tests.integration.verification.conftest import running_world
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


@pytest.mark.fault("R40")
async def test_a_power_cut_loses_no_acceptance_and_allows_none_twice(
    tmp_path: Path, record_property: Record
) -> None:
    async with (
        grounds.own_valkey(tmp_path) as valkey,
        grounds.own_postgres(tmp_path) as (postgres, place),
    ):
        stored = await grounds.new_database(place)
        async with running_world(stored, valkey.url(), tmp_path) as world:
            numbers = await power_runs.power_cut_run(world, postgres, valkey, rounds=2)

    record_property("numbers", numbers)
    assert numbers["asked"] > 0
    assert numbers["slowest_recovery_ms"] < 20_000
    assert broken(numbers) == {}, numbers
