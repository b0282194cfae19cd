"""Loops: one delivers what is due, and one forgets what ended long ago.

A slow mail server holds its own messages up, not others.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog
from opentelemetry.trace import SpanKind

from libs.clock import Clock
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Pool
from libs.telemetry import span
from services.notification.domain.message import Message, Status
from services.notification.store import messages
from services.notification.use_cases.deliver import Deliver

_LOG = structlog.get_logger("workers")
_LOOK_EVERY = timedelta(seconds=1)
_MOMENT = timedelta(milliseconds=15)
_FORGET_EVERY = timedelta(hours=1)
# Few enough that no statement holds locks, or a connection, for long.
_FORGOTTEN_AT_ONCE = 1000
_FAILURES: tuple[type[Exception], ...] = (*INFRASTRUCTURE_ERRORS, asyncpg.PostgresError)


@dataclass
class Backlog:
    """How many messages wait and are being sent, as last seen."""

    pending: int = 0
    sending: int = 0

    def readings(self) -> dict[str, float]:
        """Return what the metrics show."""
        return {"messages_pending": self.pending, "messages_sending": self.sending}


class MessageWorker:
    """Delivers messages as they come due, `at_once` of them side by side.

    Several processes share the work without harm. When it is asked to stop it takes nothing more
    and waits `grace` for what is under way; a try that is then cut off ends as unknown.
    """

    def __init__(
        self,
        pool: Pool,
        deliver: Deliver,
        *,
        at_once: int,
        grace: timedelta = timedelta(seconds=8),
    ) -> None:
        self.backlog = Backlog()
        self._pool = pool
        self._deliver = deliver
        self._at_once = at_once
        self._grace = grace
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look now, and again a moment later: the event's transaction commits after this call."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until asked to stop (a part of the process)."""
        try:
            while not stop.is_set():
                if not await self._look():
                    await self._pause(stop)
            if self._running:
                await asyncio.wait(self._running, timeout=self._grace.total_seconds())
        finally:
            for task in self._running:
                task.cancel()

    async def _look(self) -> bool:
        """Begin what is due and fits; False where there was nothing, or no room."""
        self._let_crashes_out()
        try:
            room = self._at_once - len(self._running)
            taken = await messages.take_due(self._pool, most=room) if room else []
            for message in taken:
                self._running.add(asyncio.create_task(self._try(message)))
            for message in await messages.lapsed(self._pool, most=self._at_once):
                await self._deliver.nobody_knows(message)
            if not taken:
                counts = await messages.count_open(self._pool)
                self.backlog.pending = counts.get(Status.PENDING, 0)
                self.backlog.sending = counts.get(Status.SENDING, 0)
        except _FAILURES as error:
            _LOG.warning("messages cannot be read", cause=type(error).__name__)
            return False
        return bool(taken)

    async def _try(self, message: Message) -> None:
        with span(
            f"notify {message.template}",
            traceparent=message.traceparent,
            kind=SpanKind.PRODUCER,
            attributes={"message.id": str(message.message_id), "message.try": message.tries},
        ):
            try:
                await self._deliver(message)
            except _FAILURES as error:
                # Its row says how far it came: tried again, or found as one that nobody knows of.
                _LOG.warning("message waits", cause=type(error).__name__)

    async def _pause(self, stop: asyncio.Event) -> None:
        if self._woken.is_set():
            # The wake-up came before the commit that it announced: a moment until it shows.
            self._woken.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _MOMENT.total_seconds())
            return
        signals = {asyncio.create_task(stop.wait()), asyncio.create_task(self._woken.wait())}
        # With every place taken, the first that ends makes room for what is due.
        ends = self._running if len(self._running) == self._at_once else set()
        await asyncio.wait(
            signals | ends,
            timeout=_LOOK_EVERY.total_seconds(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        for signal in signals:
            signal.cancel()

    def _let_crashes_out(self) -> None:
        done = {task for task in self._running if task.done()}
        self._running -= done
        for task in done:
            task.result()


async def forget_messages(
    pool: Pool, *, kept: timedelta, clock: Clock, stop: asyncio.Event
) -> None:
    """Delete messages a while after they ended, until asked to stop."""
    while not stop.is_set():
        deleted = 0
        try:
            deleted = await messages.forget_ended(
                pool, before=clock() - kept, most=_FORGOTTEN_AT_ONCE
            )
        except _FAILURES as error:
            _LOG.warning("messages cannot be forgotten", cause=type(error).__name__)
        if deleted < _FORGOTTEN_AT_ONCE:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _FORGET_EVERY.total_seconds())
