"""How many guesses a subject has: a bucket of failures that empties with time.

A bucket that holds `capacity` and loses `per_day` bounds what any 24 hours can see, wherever they
begin: capacity + per_day failures. Fixed windows would allow twice their limit across a border.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

_DAY_SECONDS = 86_400
# NIST SP 800-63B-4 section 3.2.2 allows at most 100 consecutive failures.
_MOST_CONSECUTIVE = 100
# The promise: a blind guess succeeds with at most this chance a day and subject.
HIGHEST_CHANCE_A_DAY = 1e-4
# A guess costs one for each authenticator; enrollment lets a subject have this many.
MOST_AUTHENTICATORS = 5


class UnsafeBudget(Exception):  # noqa: N818
    """The configured limits would allow more guessing than is promised."""


@dataclass(frozen=True)
class Budget:
    """Limits of one subject over all its code factors."""

    capacity: int
    per_day: int
    consecutive: int

    @property
    def per_second(self) -> float:
        """Return how fast the bucket empties."""
        return self.per_day / _DAY_SECONDS

    @property
    def most_a_day(self) -> int:
        """Return the most guesses that any 24 hours can see."""
        return self.capacity + self.per_day


@dataclass(frozen=True)
class Spent:
    """How full the bucket was, and when."""

    level: float
    at: datetime


def level_at(spent: Spent, now: datetime, budget: Budget) -> float:
    """Return how full the bucket is now; a clock that went back empties nothing."""
    passed = max(0.0, (now - spent.at).total_seconds())
    return max(0.0, spent.level - passed * budget.per_second)


def weight_of(authenticators: int, *, named: bool) -> int:
    """Return what a guess costs: one for each authenticator whose codes it is compared with."""
    return 1 if named else max(1, authenticators)


def fits(level: float, weight: int, budget: Budget) -> bool:
    """Tell whether one more guess fits."""
    return level + weight <= budget.capacity


def wait_until_fits(level: float, weight: int, budget: Budget) -> timedelta:
    """Return how long until one more guess fits."""
    return timedelta(seconds=max(0.0, level + weight - budget.capacity) / budget.per_second)


def guess_chance_a_day(budget: Budget, *, digits: int, steps: int) -> float:
    """Return the chance that blind guessing succeeds within a day (requirement of promise 2)."""
    one: float = steps / 10**digits
    return 1 - float((1 - one) ** budget.most_a_day)


def refuse_unsafe(budget: Budget, *, digits: int, steps: int) -> None:
    """Raise UnsafeBudget where the limits break NIST's or our own bound."""
    chance = guess_chance_a_day(budget, digits=digits, steps=steps)
    if chance > HIGHEST_CHANCE_A_DAY:
        raise UnsafeBudget(f"a blind guess would succeed with {chance:.1e} a day")
    if not 1 <= budget.consecutive <= _MOST_CONSECUTIVE:
        raise UnsafeBudget(f"consecutive failures must be at most {_MOST_CONSECUTIVE}")
    if budget.capacity < MOST_AUTHENTICATORS or budget.per_day < 1:
        raise UnsafeBudget(f"fewer than {MOST_AUTHENTICATORS} guesses at once lock people out")
