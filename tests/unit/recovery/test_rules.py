from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.recovery.domain.reset import Progress, is_complete
from services.recovery.domain.tries import CAPACITY, PER_DAY, Tries, one_more

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("removed", "forgotten", "complete"),
    [
        (None, (), False),
        (None, (ONE,), False),
        ((), (), True),
        ((ONE,), (), False),
        ((ONE,), (ONE,), True),
        ((ONE, TWO), (ONE,), False),
        ((ONE,), (ONE, TWO), True),
    ],
)
def test_a_reset_is_complete_when_all_that_was_removed_is_forgotten(
    removed: tuple[UUID, ...] | None, forgotten: tuple[UUID, ...], complete: bool
) -> None:
    assert is_complete(Progress(removed=removed, forgotten=forgotten)) is complete


def test_allows_a_number_of_tries_at_once_and_then_as_many_a_day() -> None:
    tries: Tries | None = Tries(0.0, NOW)
    for _ in range(CAPACITY):
        assert tries is not None
        tries = one_more(tries, NOW)
    assert tries is not None

    assert one_more(tries, NOW) is None
    assert one_more(tries, NOW + timedelta(days=1) / PER_DAY) is not None


def test_a_clock_that_went_back_gives_no_tries() -> None:
    full = Tries(float(CAPACITY), NOW)

    assert one_more(full, NOW - timedelta(days=2)) is None
