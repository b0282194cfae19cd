"""Reads topics as a member of a group and brings every record to its end, effects once.

The transaction of the effect holds the inbox entry, and the offset is committed after it: crashes,
rebalances and zombies repeat records, and the inbox drops the repeats.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from libs.messaging.handling import ConsumerHealth, ConsumerSettings, Handler, Work, handle
from libs.messaging.inbox import forget_handled
from libs.messaging.kafka import BROKER_ERRORS, Consumer, KafkaSettings, Place, Record
from libs.messaging.retrying import retry_parked
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Pool

__all__ = ["ConsumerHealth", "ConsumerSettings", "Handler", "run_consumer"]

logger = logging.getLogger(__name__)

_POLL = timedelta(milliseconds=500)
_MOST_RECORDS = 200
# A round of handling ends after this, so that polls stay far more frequent than they must be.
_ROUND_LIMIT = 20.0
_LONGEST_WAIT = 10.0
_START_LIMIT = 60.0
_DEFAULTS = ConsumerSettings()


class _Stalled(Exception):  # noqa: N818
    """The brokers have records for us that no poll brings (aiokafka issue 1154)."""


async def run_consumer(  # noqa: PLR0913 - the composition root names each part once
    *,
    app_pool: Pool,
    worker_pool: Pool,
    kafka: KafkaSettings,
    group: str,
    topics: Sequence[str],
    handlers: Mapping[str, Handler],
    stop: asyncio.Event,
    health: ConsumerHealth | None = None,
    settings: ConsumerSettings = _DEFAULTS,
) -> None:
    """Consume until `stop` is set, through failures of Kafka and PostgreSQL.

    `handlers` go by event type, the others are skipped. A handler runs in a transaction as the app
    role in the event's tenant and raises InvalidEvent for what no later attempt can mend.
    """
    work = Work(group, app_pool, worker_pool, handlers, settings, health or ConsumerHealth())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(retry_parked(work, stop))
        tasks.create_task(_keep_consuming(work, kafka, topics, stop))
        tasks.create_task(_keep_forgetting(work, stop))


async def _keep_consuming(
    work: Work, kafka: KafkaSettings, topics: Sequence[str], stop: asyncio.Event
) -> None:
    while not stop.is_set():
        consumer = Consumer(
            kafka,
            group=work.group,
            topics=topics,
            group_instance_id=work.settings.group_instance_id,
            session_timeout=work.settings.session_timeout,
            max_poll_interval=work.settings.max_poll_interval,
        )
        try:
            await _start(consumer, stop)
            await _work_through(work, consumer, stop)
        except (*BROKER_ERRORS, _Stalled) as error:
            work.health.restarts += 1
            logger.warning("Consumer made anew", extra={"cause": type(error).__name__})
            await _pause(stop, 1.0)
        finally:
            await consumer.close()


async def _keep_forgetting(work: Work, stop: asyncio.Event) -> None:
    """Keep the inbox from growing for ever."""
    while not stop.is_set():
        try:
            await forget_handled(work.worker_pool, older_than=work.settings.remembers)
        except INFRASTRUCTURE_ERRORS as error:
            logger.warning("Inbox not cleaned up", extra={"cause": type(error).__name__})
        await _pause(stop, work.settings.forgets_every.total_seconds())


async def _start(consumer: Consumer, stop: asyncio.Event) -> None:
    """Join the group, unless told to stop while it waits."""
    joining = asyncio.ensure_future(consumer.start())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait(
            (joining, stopping), timeout=_START_LIMIT, return_when=asyncio.FIRST_COMPLETED
        )
        if joining.done():
            joining.result()
        elif not stop.is_set():
            raise TimeoutError
    finally:
        for task in (joining, stopping):
            task.cancel()
        await asyncio.gather(joining, stopping, return_exceptions=True)


async def _work_through(work: Work, consumer: Consumer, stop: asyncio.Event) -> None:
    clock = asyncio.get_running_loop().time
    wait, moved = 0.0, clock()
    while not stop.is_set():
        records = await consumer.poll(wait=_POLL, most=_MOST_RECORDS)
        work.health.last_poll = datetime.now(UTC)
        if records:
            interrupted = await _handle_round(work, consumer, records, stop)
            wait = min(_LONGEST_WAIT, 2 * wait + 0.2) if interrupted else 0.0
            await _hold(consumer, wait, stop)
            moved = clock()
        elif clock() - moved > work.settings.stalled_after.total_seconds():
            if await consumer.lag_at_broker() > 0:
                raise _Stalled
            moved = clock()
        work.health.lag = consumer.lag()


async def _handle_round(
    work: Work, consumer: Consumer, records: Mapping[Place, Sequence[Record]], stop: asyncio.Event
) -> bool:
    """Handle partitions side by side and commit; True if the infrastructure failed one."""
    deadline = asyncio.get_running_loop().time() + _ROUND_LIMIT
    async with asyncio.TaskGroup() as group:
        tasks = {
            place: group.create_task(_handle_partition(work, batch, deadline, stop))
            for place, batch in records.items()
        }
    done = {place: task.result() for place, task in tasks.items()}
    for place, (following, _) in done.items():
        if following <= records[place][-1].offset:
            consumer.seek(place, following)
    # A commit fails when the partition moved on meanwhile; its new owner sees repeats.
    with contextlib.suppress(*BROKER_ERRORS):
        await consumer.commit({place: following for place, (following, _) in done.items()})
    return any(interrupted for _, interrupted in done.values())


async def _handle_partition(
    work: Work, records: Sequence[Record], deadline: float, stop: asyncio.Event
) -> tuple[int, bool]:
    """Return the offset to go on from, and whether the infrastructure failed at it."""
    clock = asyncio.get_running_loop().time
    for record in records:
        if stop.is_set() or clock() > deadline:
            return record.offset, False
        try:
            await handle(work, record)
        except INFRASTRUCTURE_ERRORS as error:
            work.health.interrupted += 1
            logger.warning("Record waits", extra={"cause": type(error).__name__})
            return record.offset, True
    return records[-1].offset + 1, False


async def _hold(consumer: Consumer, seconds: float, stop: asyncio.Event) -> None:
    """Wait without records, but go on polling, so that the group does not give us up."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while not stop.is_set() and (left := until - clock()) > 0:
        consumer.pause()
        surplus = await consumer.poll(wait=timedelta(seconds=min(left, 1.0)), most=1)
        for place, records in surplus.items():  # of partitions that have just become ours
            consumer.seek(place, records[0].offset)
    consumer.resume()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
