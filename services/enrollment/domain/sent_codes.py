"""Codes that are sent to a person who enrolls: six digits, ten minutes, five tries, once.

NIST SP 800-63B-4 section 3.1.3.2; the limits are those of docs/adr/0021.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.codes import CodeChannel, CodePurpose

DIGITS = 6
LIFETIME = timedelta(minutes=10)
TRIES = 5
# To one number, or to one person's address.
NEXT_AFTER = timedelta(seconds=30)
_MOST = ((timedelta(hours=1), 5), (timedelta(days=1), 10))
_NO_WAIT = timedelta(0)
LONGEST_LIMIT = _MOST[-1][0]


class Status(StrEnum):
    """Where a code stands; all but the first are for good."""

    OPEN = "open"
    USED = "used"
    REPLACED = "replaced"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"


@dataclass(frozen=True)
class SentCode:
    """One code; `digest` recognises it, `to_digest` where it was sent."""

    code_id: UUID
    subject_ref: UUID
    application_id: UUID
    enrollment_id: UUID | None
    channel: CodeChannel
    to_digest: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    tries_left: int
    sent: datetime
    expires: datetime
    status: Status = Status.OPEN

    @property
    def purpose(self) -> CodePurpose:
        """Return what the code is for."""
        return CodePurpose.OPEN if self.enrollment_id is None else CodePurpose.CONFIRM


def new_code(below: Callable[[int], int]) -> str:
    """Return a code; `below` draws a random number from 0 to one less than its argument."""
    return f"{below(10**DIGITS):0{DIGITS}}"


def is_good(code: SentCode, now: datetime) -> bool:
    """Tell whether a code can still be given."""
    return code.status is Status.OPEN and code.tries_left > 0 and now < code.expires


def after_wrong_code(code: SentCode) -> SentCode:
    """Return the code with one try less."""
    left = max(0, code.tries_left - 1)
    return replace(code, tries_left=left, status=code.status if left else Status.EXHAUSTED)


def tries_of_next(earlier: SentCode | None, now: datetime) -> int:
    """Return how many tries a new code has: it gives none back (NIST SP 800-63B-4 3.1.3.1)."""
    if earlier is None or now >= earlier.expires or earlier.status is Status.USED:
        return TRIES
    return earlier.tries_left


def wait_for_next(
    sent: Sequence[datetime], now: datetime, *, asked: Sequence[datetime] = ()
) -> timedelta | None:
    """Return how long to wait before one more code may be sent, or None; times are of a day.

    `sent` is when codes went there, `asked` when they went to whichever number of this person:
    each costs money, and there are many.
    """
    longest = max(
        max((when + NEXT_AFTER - now for when in sent), default=_NO_WAIT),
        _wait_for_room(sent, now),
        _wait_for_room(asked, now),
    )
    return longest if longest > _NO_WAIT else None


def _wait_for_room(sent: Sequence[datetime], now: datetime) -> timedelta:
    waits = [_NO_WAIT]
    for span, most in _MOST:
        recent = sorted(when for when in sent if when > now - span)
        if len(recent) >= most:
            waits.append(recent[-most] + span - now)
    return max(waits)
