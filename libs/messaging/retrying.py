"""Tries parked messages again, in any number of processes, without swapping a key's order."""

import asyncio
import contextlib
import logging
from datetime import timedelta

from libs.messaging.cloud_event import InvalidEvent
from libs.messaging.dead_letters import write_dead_letter
from libs.messaging.failures import HandlerFailed
from libs.messaging.handling import Work, read_event, take_effect
from libs.messaging.parking import ParkedRecord, count_parked, postpone, release, take_head
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Connection

logger = logging.getLogger(__name__)

_LOOK_EVERY = 0.5
_DEPENDENCY_WAIT = timedelta(seconds=5)


async def retry_parked(work: Work, stop: asyncio.Event) -> None:
    """Work through due messages until `stop` is set."""
    while not stop.is_set():
        try:
            worked = await _retry_one(work)
            if not worked:
                work.health.parked = await count_parked(work.worker_pool, work.group)
        except INFRASTRUCTURE_ERRORS as error:
            worked = False
            logger.warning("Parked messages wait", extra={"cause": type(error).__name__})
        if not worked:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_EVERY)


async def _retry_one(work: Work) -> bool:
    # The effect commits first, in its own transaction as the app role. Lost in between, this
    # message is tried once more, and its inbox entry says that it is done.
    async with work.worker_pool.acquire() as tx, tx.transaction():
        head = await take_head(tx, work.group)
        if head is None:
            return False
        try:
            event = read_event(head.record, largest=work.settings.largest_value)
            await take_effect(work, head.record, event, retry=True)
            await release(tx, work.group, head.record)
        except InvalidEvent as error:
            await _bury(work, tx, head, type(error).__name__)
        except HandlerFailed as error:
            await _failed(work, tx, head, error.cause)
        except INFRASTRUCTURE_ERRORS as error:
            # Nobody's attempt; other keys go on meanwhile. Raises again if this database is away.
            await postpone(
                tx,
                work.group,
                head.record,
                attempts=head.attempts,
                wait=_DEPENDENCY_WAIT,
                failure=type(error).__name__,
            )
    return True


async def _failed(work: Work, tx: Connection, head: ParkedRecord, cause: str) -> None:
    work.health.failed += 1
    attempts = head.attempts + 1
    if attempts >= work.settings.attempts:
        await _bury(work, tx, head, cause)
        return
    wait = work.settings.wait_after(attempts)
    await postpone(tx, work.group, head.record, attempts=attempts, wait=wait, failure=cause)


async def _bury(work: Work, tx: Connection, head: ParkedRecord, cause: str) -> None:
    await release(tx, work.group, head.record)
    work.health.dead += await write_dead_letter(
        tx, head.record, group=work.group, exception=cause, attempts=head.attempts + 1
    )
