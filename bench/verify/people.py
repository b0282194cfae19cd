"""Who is asked for: as many people as wanted, whose secrets and codes follow from a number."""

import hashlib
import hmac
import math
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

PERIOD = 30
DIGITS = 6
SECRET_LENGTH = 20
_MODULUS = 1_000_000
# The number of a person and the step of the code; None with nobody left.
TakeTurn = Callable[[], tuple[int, int] | None]


@dataclass(frozen=True)
class People:
    """Whoever there is: a few for refusals, some for wrong codes, the rest for right ones."""

    count: int
    full: int
    wrong: int
    seed: bytes
    # Seconds for which a code is good; with shorter ones fewer people serve as many requests.
    period: int = PERIOD

    @property
    def without_guesses(self) -> range:
        """Return the numbers of those whose guesses are spent from the start."""
        return range(self.full)

    @property
    def guessing(self) -> range:
        """Return the numbers of those who send wrong codes."""
        return range(self.full, self.full + self.wrong)

    @property
    def right(self) -> range:
        """Return the numbers of those who send right codes."""
        return range(self.full + self.wrong, self.count)

    def secret(self, number: int) -> bytes:
        """Return what the authenticator of this person holds."""
        return hashlib.blake2b(
            number.to_bytes(8, "big"), key=self.seed, digest_size=SECRET_LENGTH
        ).digest()

    def code(self, number: int, step: int) -> str:
        """Return the code of a step (RFC 4226 section 5.3)."""
        return f"{self._number_of(number, step):06d}"

    def wrong_code(self, number: int, step: int) -> str:
        """Return a code that is none of those near this step."""
        near = {self._number_of(number, step + away) for away in range(-3, 4)}
        wrong = next(code for code in range(len(near) + 1) if code not in near)
        return f"{wrong:06d}"

    def _number_of(self, number: int, step: int) -> int:
        mac = hmac.digest(self.secret(number), step.to_bytes(8, "big"), "sha1")
        offset = mac[-1] & 0x0F
        truncated = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
        return truncated % _MODULUS


def name_of(number: int) -> str:
    """Return under which name an application asks for this person."""
    return f"person-{number:07d}@example.org"


def present_step(period: int = PERIOD) -> int:
    """Return the time step of now."""
    return int(time.time()) // period


class Turns:
    """Hands out people whose present code was not used yet, spread over the tables.

    A code is accepted once, so one person serves one request in a step; the step after the present
    one is accepted, too, and lets everybody serve one more.
    """

    def __init__(self, numbers: range, *, period: int = PERIOD) -> None:
        self._numbers = numbers
        self._period = period
        self._spread = _coprime(len(numbers))
        self._last = array("q")
        self._next = 0

    @property
    def known(self) -> int:
        """Return how many people have had a turn: the cache knows them."""
        return len(self._last)

    @property
    def used_up(self) -> bool:
        """Tell whether nobody has an unused code before the next step."""
        nobody_new = self.known == len(self._numbers)
        return nobody_new and self._last[self._next] > self._present()

    def has(self, count: int) -> bool:
        """Tell whether everybody has had a turn, and so many people have an unused code again."""
        if self.known < len(self._numbers):
            return False
        # They are served in a circle, so nobody before this one has used a later step.
        return self._last[(self._next + count - 1) % self.known] <= self._present()

    def take_new(self) -> tuple[int, int] | None:
        """Return somebody who had no turn yet and the step of the code; None with nobody left."""
        if self.known == len(self._numbers):
            return None
        step = self._present()
        self._last.append(step)
        return self._person(self.known - 1), step

    def take(self) -> tuple[int, int] | None:
        """Return somebody whom the cache knows; somebody new where all their codes are used."""
        turn, now = self._next, self._present()
        step = max(now, self._last[turn] + 1) if self.known else now + 2
        if step > now + 1:
            return self.take_new()
        self._last[turn] = step
        self._next = (turn + 1) % self.known
        return self._person(turn), step

    def _present(self) -> int:
        return present_step(self._period)

    def _person(self, turn: int) -> int:
        return self._numbers[turn * self._spread % len(self._numbers)]


def limited(take: TakeTurn, count: int) -> TakeTurn:
    """Return turns that end after so many."""
    left = iter(range(count))
    return lambda: None if next(left, None) is None else take()


def sparing(take: TakeTurn, *, every: int) -> TakeTurn:
    """Return turns that pass over each person with a number divisible by `every`."""

    def spared() -> tuple[int, int] | None:
        turn = take()
        while turn is not None and turn[0] % every == 0:
            turn = take()
        return turn

    return spared


def _coprime(length: int) -> int:
    # Neighbours in time should not be neighbours in the tables.
    spread = max(1, int(length * 0.618))
    while math.gcd(spread, length) != 1:
        spread += 1
    return spread
