"""Whatever fails in whatever order: each code at most once, never more guesses than the budget."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.services import MakeDatabase
from tests.integration.verification.model_runs import model_run

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Let go of torn connections here, where nobody minds that they were not closed in order."""
    yield
    gc.collect()


@pytest.mark.security("S1")
async def test_no_order_of_faults_lets_a_code_in_twice_or_a_guess_too_many(
    service_database: MakeDatabase,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    stored = await service_database("verification")

    numbers = await model_run(stored, tmp_path, examples=20, steps=15)

    record_property("numbers", numbers)
    assert min(numbers[name] for name in ("accepted", "evaluated", "emptied", "deaths")) > 3
