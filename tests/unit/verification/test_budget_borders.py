"""The last budget that is taken, the first that is not and what the operator is told of it."""

from fractions import Fraction

import pytest

from services.verification.domain.budget import (
    CHANCE_OF_ONE,
    Budget,
    Family,
    UnsafeBudget,
    family_of_code,
    guess_chance_a_day,
    level_after_unlocking,
    refuse_unsafe,
)


def budget(
    *, capacity: int = 10, per_day: int = 20, consecutive: int = 50, before_waiting: int = 5
) -> Budget:
    return Budget(capacity, per_day, consecutive, before_waiting)


@pytest.mark.parametrize(
    "taken",
    [
        budget(capacity=10, per_day=20),
        budget(capacity=5),
        budget(per_day=1),
        budget(consecutive=1),
        budget(consecutive=100),
        budget(before_waiting=1),
    ],
)
def test_takes_the_last_budget_before_each_border(taken: Budget) -> None:
    refuse_unsafe(taken)


@pytest.mark.security("S2")
@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (budget(capacity=11), r"a blind guess would succeed with 1\.0e-04 a day"),
        (budget(per_day=21), r"a blind guess would succeed with 1\.0e-04 a day"),
        (budget(consecutive=0), "consecutive failures must be at most 100"),
        (budget(consecutive=101), "consecutive failures must be at most 100"),
        (budget(before_waiting=0), "a wait before the first failure locks people out"),
        (budget(capacity=4), "fewer than 5 guesses at once lock people out"),
        (budget(per_day=0), "fewer than 5 guesses at once lock people out"),
    ],
)
def test_says_which_limit_is_unsafe(refused: Budget, said: str) -> None:
    with pytest.raises(UnsafeBudget, match=f"^{said}$"):
        refuse_unsafe(refused)


@pytest.mark.security("S2")
def test_the_promise_counts_guesses_at_recovery_codes_too() -> None:
    at_codes_alone = 33 * CHANCE_OF_ONE
    at_recovery_codes = 33 * Fraction(32, 32**10)

    assert guess_chance_a_day(budget()) == float(at_codes_alone + at_recovery_codes)
    assert guess_chance_a_day(budget()) > float(at_codes_alone)


@pytest.mark.parametrize(("capacity", "level"), [(10, 7.0), (5, 2.0), (4, 1.0), (3, 0.0), (2, 0.0)])
def test_unlocking_frees_three_guesses_and_never_more_than_there_are(
    capacity: int, level: float
) -> None:
    assert level_after_unlocking(budget(capacity=capacity)) == level


@pytest.mark.parametrize(
    ("code", "family"),
    [
        ("123456", Family.CODES),
        ("1234567890", Family.CODES),
        ("7HJ2K-9QXW4", Family.RECOVERY),
        ("12345-67890", Family.RECOVERY),
    ],
)
def test_the_form_of_a_guess_says_whose_budget_it_is_charged_to(code: str, family: Family) -> None:
    assert family_of_code(code) is family
