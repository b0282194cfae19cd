"""The server's clock as a value that is passed in, so that rules and tests choose the time."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)
