"""What a process keeps knowing of PostgreSQL: how far the clocks are apart, who was promoted."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from libs.clock import Clock
from libs.postgres.line import FAILURES, Line
from services.verification.domain.clock import least_offset

_LOG = structlog.get_logger("authority")
_LOOK_EVERY = timedelta(seconds=1)
_PATIENCE_SECONDS = 1.0
_WORTH_A_WARNING = timedelta(milliseconds=500)
_LOOK = """
SELECT clock_timestamp(), p.timeline = current_timeline() FROM promotion p
"""
# Written once, whoever comes first: the others find the timeline known when they get the row.
# $1: whether codes are fenced off, or the timeline only noted.
NOTE_PROMOTION = """
UPDATE promotion SET timeline = current_timeline(),
    fences = fences + CASE WHEN $1 THEN 1 ELSE 0 END,
    fenced_at = CASE WHEN $1 THEN clock_timestamp() ELSE fenced_at END
WHERE timeline <> current_timeline() RETURNING timeline
"""


class AuthorityWatch:
    """Looks every second; settle looks for itself at every code, so this may miss something.

    While this node's clock is off by `tolerance` or more, the node takes itself out.
    """

    def __init__(self, dsn: str, *, clock: Clock, tolerance: timedelta, quarantine: bool) -> None:
        self._line = Line(dsn, name="watch", seconds=_PATIENCE_SECONDS, server_settings={})
        self._clock = clock
        self._tolerance = tolerance
        self._quarantine = quarantine
        self.offset = timedelta()

    @property
    def clock_is_off(self) -> bool:
        """Tell whether this node's clock is too far from PostgreSQL's to judge codes."""
        return abs(self.offset) >= self._tolerance

    async def check(self) -> str | None:
        """Return what is wrong, for readiness."""
        if not self.clock_is_off:
            return None
        return f"the clock is {self.offset.total_seconds():+.1f} s from PostgreSQL's"

    def readings(self) -> Mapping[str, float]:
        """Return what the metrics show."""
        return {"clock_offset_seconds": self.offset.total_seconds()}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until asked to stop (a part of the process)."""
        try:
            while not stop.is_set():
                # What cannot be asked says nothing of the clock; settle fails by itself then.
                with suppress(*FAILURES):
                    await self.look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_EVERY.total_seconds())
        finally:
            with suppress(*FAILURES):
                await self._line.close()

    async def look(self) -> None:
        """Look once; raises one of FAILURES."""
        asked = self._clock()
        [(theirs, timeline_is_known)] = await self._line.fetch(_LOOK)
        self._judge(asked, theirs, self._clock())
        if not timeline_is_known:
            await note_promotion(self._line, quarantine=self._quarantine)

    def _judge(self, asked: datetime, theirs: datetime, answered: datetime) -> None:
        was_off, self.offset = self.clock_is_off, least_offset(asked, theirs, answered)
        seconds = round(self.offset.total_seconds(), 3)
        if self.clock_is_off and not was_off:
            _LOG.error("the clock is off: out of service", offset_seconds=seconds)
        elif was_off and not self.clock_is_off:
            _LOG.warning("the clock is right again: in service", offset_seconds=seconds)
        elif abs(self.offset) >= _WORTH_A_WARNING:
            _LOG.warning("the clock drifts", offset_seconds=seconds)


async def note_promotion(line: Line, *, quarantine: bool) -> None:
    """Note the timeline of a server that was promoted, or came out of a backup."""
    for (timeline,) in await line.fetch(NOTE_PROMOTION, quarantine):
        _LOG.warning("PostgreSQL was promoted", timeline=timeline, quarantine=quarantine)
