"""What becomes of one record: its effect, once, or a parked or dead letter."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.messaging.cloud_event import CloudEvent, InvalidEvent, parse
from libs.messaging.dead_letters import write_dead_letter
from libs.messaging.failures import HandlerFailed
from libs.messaging.kafka import Record
from libs.messaging.parking import park
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Connection, Pool, enter_tenant

Handler = Callable[[Connection, CloudEvent], Awaitable[None]]

_tracer = trace.get_tracer(__name__)
_propagator = TraceContextTextMapPropagator()

# Nothing is recorded while earlier messages of the key are parked: this one goes behind them.
_BEGIN = """
WITH waiting AS (
    SELECT EXISTS (SELECT FROM parked WHERE consumer = $1 AND topic = $4 AND key = $5) AS parked
), first AS (
    INSERT INTO inbox (consumer, message, tenant_id)
    SELECT $1, $2, $3 FROM waiting WHERE NOT parked
    ON CONFLICT DO NOTHING RETURNING true
)
SELECT parked, EXISTS (SELECT FROM first) AS first FROM waiting
"""
_RETRY = """
WITH first AS (
    INSERT INTO inbox (consumer, message, tenant_id) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING true
)
SELECT false AS parked, EXISTS (SELECT FROM first) AS first
"""


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """How patient a consumer is; with these waits, eight attempts take a quarter of an hour.

    `remembers` is for how long it knows what it has handled: for longer than any event can come
    again, from a topic that is read from its beginning or from a dead letter.
    """

    compacted: frozenset[str] = frozenset()
    group_instance_id: str | None = None
    attempts: int = 8
    first_retry: timedelta = timedelta(seconds=1)
    longest_retry: timedelta = timedelta(minutes=5)
    handler_limit: timedelta = timedelta(seconds=20)
    largest_value: int = 1_000_000
    session_timeout: timedelta = timedelta(seconds=10)
    max_poll_interval: timedelta = timedelta(minutes=5)
    stalled_after: timedelta = timedelta(seconds=60)
    remembers: timedelta = timedelta(days=460)
    forgets_every: timedelta = timedelta(hours=1)

    def wait_after(self, attempts: int) -> timedelta:
        """Return how long to wait after the given number of failed attempts."""
        growth: int = 4 ** min(attempts - 1, 10)
        return min(self.longest_retry, self.first_retry * growth)


@dataclass(slots=True)
class ConsumerHealth:
    """What readiness and metrics read; all but the first three count since the start."""

    last_poll: datetime | None = None
    lag: int = 0
    parked: int = 0
    handled: int = 0
    duplicates: int = 0
    skipped: int = 0
    failed: int = 0
    dead: int = 0
    interrupted: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What all parts of a consumer share."""

    group: str
    app_pool: Pool
    worker_pool: Pool
    handlers: Mapping[str, Handler]
    settings: ConsumerSettings
    health: ConsumerHealth = field(default_factory=ConsumerHealth)


async def handle(work: Work, record: Record) -> None:
    """Bring one record to its end; raises only infrastructure errors, after which it may run again.

    Whatever else a handler raises parks the message, and InvalidEvent buries it at once.
    """
    if record.value is None and record.topic in work.settings.compacted:
        work.health.skipped += 1  # the `deleted` record came before
        return
    try:
        event = read_event(record, largest=work.settings.largest_value)
        if event.type not in work.handlers:
            work.health.skipped += 1
        elif not await take_effect(work, record, event, retry=False):
            await park(work.worker_pool, work.group, record, event.tenant)
    except InvalidEvent as error:
        await _bury(work, record, type(error).__name__)
    except HandlerFailed as error:
        work.health.failed += 1
        wait = work.settings.wait_after(1)
        await park(
            work.worker_pool, work.group, record, event.tenant, failure=error.cause, wait=wait
        )


def read_event(record: Record, *, largest: int) -> CloudEvent:
    """Parse a record and check that its key is the event's; raises InvalidEvent."""
    if record.value is not None and len(record.value) > largest:
        raise InvalidEvent("larger than any event")
    event = parse(record.value)
    if event.key != record.key:
        raise InvalidEvent("filed under a foreign key")
    return event


async def take_effect(work: Work, record: Record, event: CloudEvent, *, retry: bool) -> bool:
    """Handle an event in one transaction with its inbox entry; False if its key is parked.

    Raises InvalidEvent, HandlerFailed, or an infrastructure error.
    """
    async with work.app_pool.acquire() as connection, connection.transaction():
        await enter_tenant(connection, event.tenant)
        place = () if retry else (record.topic, record.key)
        statement = _RETRY if retry else _BEGIN
        found = await connection.fetchrow(
            statement, work.group, str(event.id), event.tenant, *place
        )
        if found is None or found["parked"]:
            return False
        if found["first"]:
            await _run_handler(work, connection, event)
    if found["first"]:
        work.health.handled += 1
    else:
        work.health.duplicates += 1
    return True


async def _run_handler(work: Work, connection: Connection, event: CloudEvent) -> None:
    parent = _propagator.extract({"traceparent": event.traceparent or ""})
    with _tracer.start_as_current_span(
        f"consume {event.type}",
        context=parent,
        kind=trace.SpanKind.CONSUMER,
        record_exception=False,  # its text may quote the message
        set_status_on_exception=False,
    ):
        try:
            async with asyncio.timeout(work.settings.handler_limit.total_seconds()) as limit:
                await work.handlers[event.type](connection, event)
        except InvalidEvent:
            raise
        except INFRASTRUCTURE_ERRORS as error:
            # asyncpg reports wrong arguments of a statement with the class of a lost connection.
            mistake = isinstance(error, asyncpg.InterfaceError) and not connection.is_closed()
            if limit.expired() or mistake:
                raise HandlerFailed(type(error).__name__) from error
            raise
        except Exception as error:
            raise HandlerFailed(type(error).__name__) from error


async def _bury(work: Work, record: Record, exception: str) -> None:
    async with work.worker_pool.acquire() as connection, connection.transaction():
        work.health.dead += await write_dead_letter(
            connection, record, group=work.group, exception=exception, attempts=1
        )
