"""What policy does by the clock."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from libs.postgres.line import FAILURES
from services.policy.use_cases.calendar import Calendar

_LOG = structlog.get_logger("workers")
_LOOK_EVERY = timedelta(minutes=1)


async def watch_calendar(calendar: Calendar, *, stop: asyncio.Event) -> None:
    """Look into the calendar once a minute until asked to stop."""
    while not stop.is_set():
        try:
            await calendar.look()
        except FAILURES as error:
            _LOG.warning("the calendar cannot be read", exception=type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_EVERY.total_seconds())
