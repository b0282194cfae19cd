"""How often a recovery key may be tried: a budget of its own, apart from that of codes."""

from dataclasses import dataclass
from datetime import datetime

# 20 at once and 20 more a day: against 128 bits it only has to keep noise down, and it must not
# lock out somebody who cannot read their own handwriting.
CAPACITY = 20
PER_DAY = 20
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Tries:
    """How full the bucket of wrong tries was, and when."""

    level: float
    at: datetime


def one_more(tries: Tries, now: datetime) -> Tries | None:
    """Return the bucket with one more try in it, or None where it does not fit."""
    passed = max(0.0, (now - tries.at).total_seconds())
    level = max(0.0, tries.level - passed * PER_DAY / _DAY_SECONDS) + 1
    return Tries(level, max(now, tries.at)) if level <= CAPACITY else None
