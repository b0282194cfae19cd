"""How many guesses a subject has: a bucket of failures that empties with time.

A bucket that holds `capacity` and loses `per_day` bounds what any 24 hours can see, wherever they
begin: capacity + per_day failures. Fixed windows would allow twice their limit across a border.

What is charged is chance: one is what a guess has against three codes of six digits, as TOTP has
them; an authenticator that is easier to hit costs more (docs/adr/0011).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from fractions import Fraction
from functools import cache
from math import ceil
from uuid import UUID

from services.verification.domain import hotp, recovery_codes, totp

_DAY_SECONDS = 86_400
# NIST SP 800-63B-4 section 3.2.2 allows at most 100 consecutive failures.
_MOST_CONSECUTIVE = 100
# The promise: a blind guess succeeds with at most this chance a day and subject.
HIGHEST_CHANCE_A_DAY = 1e-4
# A guess costs one or more for each authenticator; enrollment lets a subject have this many.
MOST_AUTHENTICATORS = 5
# The chance that is charged as one.
CHANCE_OF_ONE = Fraction(3, 10**6)
_FEWEST_DIGITS = 6
# How many codes of an authenticator a guess may hit. (With `next_code` it is less than for HOTP's
# look-ahead: 100 pairs of 10^12.)
_CANDIDATES = {
    "totp": 2 * totp.WINDOW + 1,
    "hotp": hotp.LOOK_AHEAD + 1,
    "pin": 1,
    "recovery_code": recovery_codes.MOST_CODES,
}
_RECOVERY_CODE = "r"


# Growing waits: NIST SP 800-63B-4 section 3.2.2 names 30 seconds to an hour.
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
# What unlocking leaves free of a full bucket; one unlocking a day is within the promise.
FREED_BY_UNLOCKING = 3


class Family(Enum):
    """Factors that share a budget; a flood of guesses at one family does not lock another."""

    CODES = "codes"
    RECOVERY = "recovery"
    PASSKEYS = "passkeys"
    PUSH = "push"


_OTHER_FAMILIES = {
    "recovery_code": Family.RECOVERY,
    "passkey": Family.PASSKEYS,
    "push": Family.PUSH,
}
# Those whose codes are judged here, each with a bucket of its own.
GUESSED = (Family.CODES, Family.RECOVERY)


class UnsafeBudget(Exception):  # noqa: N818
    """The configured limits would allow more guessing than is promised."""


@dataclass(frozen=True)
class Budget:
    """Limits of one subject in one family of factors.

    After `before_waiting` failures in a row each further one is followed by a wait.
    """

    capacity: int
    per_day: int
    consecutive: int
    before_waiting: int = 5

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


def chance_of(factor: str, digits: int | None) -> Fraction:
    """Return the chance that one blind guess is a code of such an authenticator."""
    space = recovery_codes.SPACE if digits is None else 10**digits
    return Fraction(_CANDIDATES[factor], space)


@cache
def weight_of(factor: str, digits: int | None) -> int:
    """Return what it costs to try a guess on such an authenticator: its chance, rounded up."""
    return max(1, ceil(chance_of(factor, digits) / CHANCE_OF_ONE))


def family_of(factor: str) -> Family:
    """Return whose budget an authenticator of this kind is charged to."""
    return _OTHER_FAMILIES.get(factor, Family.CODES)


def family_of_code(code: str) -> Family:
    """Return whose budget a guess is charged to: its form says what it may hit."""
    return Family.CODES if code.isdigit() else Family.RECOVERY


def wait_after(consecutive: int, budget: Budget) -> timedelta:
    """Return how long after the last of so many failures in a row no guess is looked at."""
    more = consecutive - budget.before_waiting
    if more < 0:
        return timedelta(0)
    # Beyond seven doublings it is the longest anyway.
    return min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(more, 7)))


def level_after_unlocking(budget: Budget) -> float:
    """Return the fullest that a bucket is once somebody in charge has unlocked it."""
    return float(max(0, budget.capacity - FREED_BY_UNLOCKING))


def digits_of(code: str) -> int | None:
    """Return how many digits a code has; None for a recovery code."""
    return len(code) if code.isdigit() else None


def form_of(code: str) -> str:
    """Return the form of a code: how many digits, or `r` for a recovery code."""
    return form_for(digits_of(code))


def form_for(digits: int | None) -> str:
    """Return the form that codes of an authenticator have."""
    return _RECOVERY_CODE if digits is None else str(digits)


def tried_on(code: str, authenticator_id: UUID | None) -> str:
    """Return what a guess is tried on: one authenticator, or all whose codes have its form."""
    return form_of(code) if authenticator_id is None else authenticator_id.hex


def prices_of(authenticators: Iterable[tuple[UUID, str, int | None]]) -> Mapping[str, int]:
    """Return what a guess costs by what it is tried on; what is not in here costs one.

    The authenticators are given by id, factor and digits.
    """
    prices: dict[str, int] = {}
    for authenticator_id, factor, digits in authenticators:
        form, weight = form_for(digits), weight_of(factor, digits)
        prices[form] = prices.get(form, 0) + weight
        prices[authenticator_id.hex] = weight
    return prices


def fits(level: float, weight: int, budget: Budget) -> bool:
    """Tell whether one more guess fits."""
    return level + weight <= budget.capacity


def wait_until_fits(level: float, weight: int, budget: Budget) -> timedelta:
    """Return how long until one more guess fits."""
    return timedelta(seconds=max(0.0, level + weight - budget.capacity) / budget.per_second)


def guess_chance_a_day(budget: Budget) -> float:
    """Return a bound of the chance that blind guessing succeeds within a day (promise 2).

    The sum of the chances of all guesses, whatever they are tried on, in both families that can be
    guessed at, with one unlocking in that day.
    """
    recovery = chance_of("recovery_code", None)
    return float((budget.most_a_day + FREED_BY_UNLOCKING) * (CHANCE_OF_ONE + recovery))


def refuse_unsafe(budget: Budget) -> None:
    """Raise UnsafeBudget where the limits break NIST's or our own bound."""
    chance = guess_chance_a_day(budget)
    if chance > HIGHEST_CHANCE_A_DAY:
        raise UnsafeBudget(f"a blind guess would succeed with {chance:.1e} a day")
    if not 1 <= budget.consecutive <= _MOST_CONSECUTIVE:
        raise UnsafeBudget(f"consecutive failures must be at most {_MOST_CONSECUTIVE}")
    heaviest = max(weight_of(factor, _FEWEST_DIGITS) for factor in ("totp", "hotp", "pin"))
    if budget.before_waiting < 1:
        raise UnsafeBudget("a wait before the first failure locks people out")
    if budget.capacity < max(MOST_AUTHENTICATORS, heaviest) or budget.per_day < 1:
        raise UnsafeBudget(f"fewer than {MOST_AUTHENTICATORS} guesses at once lock people out")
