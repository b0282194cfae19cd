"""How long the event loop lets everybody wait: what blocks it delays every request alike."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

_LOG = structlog.get_logger("loop")
_EVERY = timedelta(milliseconds=100)
_WORTH_A_WARNING = timedelta(milliseconds=500)
# The longest lag shows for one to two of these, so that no scrape misses it.
_SHOWN = timedelta(seconds=30)


class LoopLag:
    """Sleeps for a moment again and again, and sees how much later it wakes."""

    def __init__(self) -> None:
        self._longest = self._longest_before = 0.0
        self._shown_until = 0.0

    def readings(self) -> Mapping[str, float]:
        """Return what the metrics show: the longest lag of the last half minute or more."""
        return {"event_loop_lag_seconds": max(self._longest, self._longest_before)}

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until asked to stop (a part of the process)."""
        time, every = asyncio.get_running_loop().time, _EVERY.total_seconds()
        while not stop.is_set():
            slept_at = time()
            await asyncio.sleep(every)
            self._note(time() - slept_at - every, now=time())

    def _note(self, lag: float, *, now: float) -> None:
        if now > self._shown_until:
            self._longest_before, self._longest = self._longest, 0.0
            self._shown_until = now + _SHOWN.total_seconds()
        self._longest = max(self._longest, lag)
        if lag > _WORTH_A_WARNING.total_seconds():
            _LOG.warning("the event loop was blocked", seconds=round(lag, 2))
