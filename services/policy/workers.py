"""What policy does by the clock."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from libs.postgres.line import FAILURES
from services.policy.use_cases.calendar import Calendar
from services.policy.use_cases.housekeeping import Housekeeping
from services.policy.use_cases.importing import Importing

_LOG = structlog.get_logger("workers")
_LOOK_EVERY = timedelta(minutes=1)
# How soon an import begins after it was started.
_IMPORTS_EVERY = timedelta(seconds=1)


async def watch_calendar(calendar: Calendar, *, stop: asyncio.Event) -> None:
    """Look into the calendar once a minute until asked to stop."""
    while not stop.is_set():
        try:
            await calendar.look()
        except FAILURES as error:
            _LOG.warning("the calendar cannot be read", exception=type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_EVERY.total_seconds())


async def work_through_imports(importing: Importing, *, stop: asyncio.Event) -> None:
    """Work through imports until asked to stop; what has begun is kept, row by row."""
    while not stop.is_set():
        try:
            worked = await importing.round()
        except FAILURES as error:
            worked = False
            _LOG.warning("imports wait", exception=type(error).__name__)
        if not worked:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _IMPORTS_EVERY.total_seconds())


async def keep_house(housekeeping: Housekeeping, *, stop: asyncio.Event) -> None:
    """Do once a minute what the directory's calendar wants, until asked to stop."""
    while not stop.is_set():
        try:
            await housekeeping.look()
        except FAILURES as error:
            _LOG.warning("housekeeping waits", exception=type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_EVERY.total_seconds())
