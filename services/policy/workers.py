"""What policy does by the clock."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from contracts.envelope import data_of, subject_ref_of
from contracts.topics import EVENTS
from contracts.verification import VERIFIED
from libs.clock import Clock
from libs.messaging.cloud_event import InvalidEvent, parse
from libs.messaging.kafka import BROKER_ERRORS, Consumer, KafkaSettings, Place, Record
from libs.postgres.line import FAILURES
from libs.postgres.pool import Pool
from services.policy.store.logins import (
    LoginDay,
    add_logins,
    count_anew,
    counted_until,
    forget_logins,
)
from services.policy.use_cases.calendar import Calendar
from services.policy.use_cases.housekeeping import Housekeeping
from services.policy.use_cases.importing import Importing

_LOG = structlog.get_logger("workers")
_LOOK_EVERY = timedelta(minutes=1)
_LOGINS = "policy.logins"
_LOGINS_KEPT = timedelta(days=90)
_FORGET_EVERY = timedelta(hours=1)
_POLL = timedelta(milliseconds=500)
_MOST = 5_000
_START_LIMIT = 60.0
# How soon an import begins after it was started.
_IMPORTS_EVERY = timedelta(seconds=1)


async def watch_calendar(calendar: Calendar, *, stop: asyncio.Event) -> None:
    """Look into the calendar once a minute until asked to stop."""
    while not stop.is_set():
        try:
            await calendar.look()
        except FAILURES as error:
            _LOG.warning("the calendar cannot be read", exception=type(error).__name__)
        await _pause(stop, _LOOK_EVERY.total_seconds())


async def work_through_imports(importing: Importing, *, stop: asyncio.Event) -> None:
    """Work through imports until asked to stop; what has begun is kept, row by row."""
    while not stop.is_set():
        try:
            worked = await importing.round()
        except FAILURES as error:
            worked = False
            _LOG.warning("imports wait", exception=type(error).__name__)
        if not worked:
            await _pause(stop, _IMPORTS_EVERY.total_seconds())


async def keep_house(housekeeping: Housekeeping, *, stop: asyncio.Event) -> None:
    """Do once a minute what the directory's calendar wants, until asked to stop."""
    while not stop.is_set():
        try:
            await housekeeping.look()
        except FAILURES as error:
            _LOG.warning("housekeeping waits", exception=type(error).__name__)
        await _pause(stop, _LOOK_EVERY.total_seconds())


async def count_logins(kafka: KafkaSettings, pool: Pool, clock: Clock, stop: asyncio.Event) -> None:
    """Count accepted codes by person, application and day until asked to stop.

    There is one for each login of everybody: they are counted in batches, each together with how
    far its partition was read, so that none counts twice. What cannot be read is the business of
    the other consumers, which bury it.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_keep_counting(kafka, pool, stop))
        tasks.create_task(_keep_forgetting(pool, clock, stop))


async def _keep_counting(kafka: KafkaSettings, pool: Pool, stop: asyncio.Event) -> None:
    while not stop.is_set():
        consumer = Consumer(kafka, group=_LOGINS, topics=(EVENTS.name,))
        try:
            # A group that is being joined is left alone when the process is to stop.
            async with asyncio.timeout(_START_LIMIT):
                await consumer.start()
            while not stop.is_set():
                for place, records in (await consumer.poll(wait=_POLL, most=_MOST)).items():
                    await _count(consumer, pool, place, records)
                    await consumer.commit({place: records[-1].offset + 1})
        except (*BROKER_ERRORS, *FAILURES, TimeoutError) as error:
            _LOG.warning("logins are not counted", exception=type(error).__name__)
            await _pause(stop, 1.0)
        finally:
            await consumer.close()


async def _count(consumer: Consumer, pool: Pool, place: Place, records: Sequence[Record]) -> None:
    following, logins = records[-1].offset + 1, _logins_of(records)
    if await add_logins(pool, place, logins, following=following) or not logins:
        return
    # A partition that ends before what is counted of it (asked in this order) was made anew with
    # its topic, and its offsets begin at 0 again.
    counted = await counted_until(pool, place)
    if following <= counted and await consumer.end(place) < counted:
        _LOG.warning("logins are counted from a new topic", partition=place[1])
        await count_anew(pool, place, counted=counted)
        await add_logins(pool, place, logins, following=following)


def _logins_of(records: Sequence[Record]) -> list[tuple[int, LoginDay]]:
    found = []
    for record in records:
        if record.headers.get("ce_type") == VERIFIED.name:
            with suppress(InvalidEvent):
                event = parse(record.value)
                verified = data_of(VERIFIED, event)
                day = LoginDay(
                    tenant=event.tenant,
                    subject_ref=subject_ref_of(event),
                    application_id=verified.application_id,
                    day=event.time.date(),
                    factor=verified.factor.value,
                )
                found.append((record.offset, day))
    return found


async def _keep_forgetting(pool: Pool, clock: Clock, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            while await forget_logins(pool, before=(clock() - _LOGINS_KEPT).date()):
                pass
        except FAILURES as error:
            _LOG.warning("old logins are not forgotten", exception=type(error).__name__)
        await _pause(stop, _FORGET_EVERY.total_seconds())


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
