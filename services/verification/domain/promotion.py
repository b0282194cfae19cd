"""What waits after a standby was promoted: it may not know the codes accepted last (ADR 14)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.verification.domain.totp import WINDOW

# How far the clocks of two servers and a node may be apart, and then some.
MARGIN = timedelta(seconds=5)
# Of recovery codes, which do not pass with time.
RECOVERY_CODES_WAIT = timedelta(seconds=90)


@dataclass(frozen=True)
class Fence:
    """When codes were fenced off for the last time, and how often so far."""

    at: datetime
    number: int


@dataclass(frozen=True)
class Spending:
    """What a code would spend: `fences` were there when its authenticator was last accepted.

    `period` is in seconds; `pair`: the code after it was given too.
    """

    factor: str
    step: int
    period: int | None
    fences: int
    pair: bool


def is_fenced_off(spending: Spending, fence: Fence, now: datetime) -> bool:
    """Tell whether a code may have been accepted before the promotion; settle.sql says the same."""
    match spending.factor:
        case "totp":
            return _begins(spending) <= fence.at + MARGIN + _window(spending)
        case "hotp":
            return spending.fences < fence.number and not spending.pair
        case "recovery_code":
            return now <= fence.at + RECOVERY_CODES_WAIT
        case _:
            return False


def wait_behind(spending: Spending, fence: Fence, now: datetime) -> timedelta | None:
    """Return how long until a code can be accepted; None where waiting does not help."""
    match spending.factor:
        case "totp":
            # The first step that begins late enough, counted from one that does not.
            steps = (fence.at + MARGIN - _begins(spending)) // _period(spending) + WINDOW + 1
            return max(timedelta(), _begins(spending) + steps * _period(spending) - now)
        case "recovery_code":
            return max(timedelta(), fence.at + RECOVERY_CODES_WAIT - now)
        case _:
            return None


def _begins(spending: Spending) -> datetime:
    return datetime.fromtimestamp(0, UTC) + spending.step * _period(spending)


def _window(spending: Spending) -> timedelta:
    return WINDOW * _period(spending)


def _period(spending: Spending) -> timedelta:
    return timedelta(seconds=spending.period or 0)
