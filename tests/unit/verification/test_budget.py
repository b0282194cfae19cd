from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.domain.budget import (
    HIGHEST_CHANCE_A_DAY,
    Budget,
    Spent,
    UnsafeBudget,
    fits,
    guess_chance_a_day,
    level_at,
    refuse_unsafe,
    wait_until_fits,
    weight_of,
)

BUDGET = Budget(capacity=10, per_day=20, consecutive=50)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("level", "allowed"), [(0.0, True), (9.0, True), (9.01, False), (10, False)]
)
def test_allows_a_guess_only_where_it_fits_whole(level: float, allowed: bool) -> None:
    assert fits(level, 1, BUDGET) is allowed


@pytest.mark.security("S2")
@pytest.mark.parametrize(
    ("authenticators", "named", "weight"),
    [(0, False, 1), (1, False, 1), (5, False, 5), (5, True, 1)],
)
def test_a_guess_costs_one_for_each_authenticator_it_is_tried_on(
    authenticators: int, named: bool, weight: int
) -> None:
    assert weight_of(authenticators, named=named) == weight


def test_empties_with_time_and_never_below_nothing() -> None:
    spent = Spent(10.0, NOW)

    assert level_at(spent, NOW + timedelta(hours=12), BUDGET) == pytest.approx(0.0)
    assert level_at(spent, NOW + timedelta(hours=6), BUDGET) == pytest.approx(5.0)
    assert level_at(spent, NOW + timedelta(days=9), BUDGET) == 0.0


def test_a_clock_that_went_back_empties_nothing() -> None:
    assert level_at(Spent(10.0, NOW), NOW - timedelta(hours=1), BUDGET) == 10.0


def test_says_how_long_to_wait() -> None:
    assert wait_until_fits(10.0, 1, BUDGET) == timedelta(days=1) / 20
    assert wait_until_fits(3.0, 1, BUDGET) == timedelta(0)


@given(times=st.lists(st.floats(min_value=0, max_value=3 * 86_400), max_size=200))
def test_no_24_hours_ever_see_more_than_the_promise(times: list[float]) -> None:
    spent, made = Spent(0.0, NOW), []
    for second in sorted(times):
        at = NOW + timedelta(seconds=second)
        level = level_at(spent, at, BUDGET)
        if fits(level, 1, BUDGET):
            spent = Spent(level + 1, at)
            made.append(second)

    for first in made:
        assert sum(first <= second <= first + 86_400 for second in made) <= BUDGET.most_a_day


@pytest.mark.security("S2")
@pytest.mark.standard("NIST 800-63B-4 3.2.2")
@pytest.mark.parametrize(
    ("budget", "safe"),
    [
        (BUDGET, True),
        (Budget(capacity=10, per_day=23, consecutive=50), True),
        (Budget(capacity=10, per_day=24, consecutive=50), False),
        (Budget(capacity=10, per_day=20, consecutive=100), True),
        (Budget(capacity=10, per_day=20, consecutive=101), False),
        (Budget(capacity=5, per_day=20, consecutive=50), True),
        (Budget(capacity=4, per_day=20, consecutive=50), False),
        (Budget(capacity=10, per_day=0, consecutive=50), False),
    ],
)
def test_start_refuses_a_budget_that_breaks_the_promise(budget: Budget, safe: bool) -> None:
    if safe:
        refuse_unsafe(budget, digits=6, steps=3)
        assert guess_chance_a_day(budget, digits=6, steps=3) <= HIGHEST_CHANCE_A_DAY
        return
    with pytest.raises(UnsafeBudget):
        refuse_unsafe(budget, digits=6, steps=3)
