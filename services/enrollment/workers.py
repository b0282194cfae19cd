"""Loops that take work which is due: what to forget, to tell again, to have a fresh copy of."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from libs.clock import Clock
from libs.postgres.pool import Pool
from libs.web.internal_client import Unreachable
from services.enrollment.store.due import (
    count_revocations,
    delete_old,
    erase_enrollments,
    expire_codes,
)
from services.enrollment.use_cases.housekeeping import Housekeeping
from services.enrollment.use_cases.remove import Remove

_LOG = structlog.get_logger("workers")
_FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass
class Backlog:
    """How many removals verification has not confirmed, as last seen."""

    revocations: int = 0


@dataclass(frozen=True)
class Workers:
    """The loops of one process; several processes share the work without harm."""

    pool: Pool
    remove: Remove
    backlog: Backlog
    clock: Clock
    retry_every: timedelta = timedelta(seconds=2)
    forget_every: timedelta = timedelta(seconds=15)
    keys_every: timedelta = timedelta(minutes=10)

    async def retry_revocations(self, stop: asyncio.Event) -> None:
        """Tell verification again and again (a part of the process)."""
        await _every(self.retry_every, self._retry, stop=stop)

    async def forget(self, stop: asyncio.Event) -> None:
        """Erase the secrets of enrollments that expired (a part of the process)."""
        await _every(self.forget_every, self._forget, stop=stop)

    async def keep_keys(self, stop: asyncio.Event) -> None:
        """Have the keys of receipts at hand, also while verification is away (a part of `api`)."""
        while not stop.is_set():
            wait = self.keys_every
            try:
                await self.remove.verification.fetch_keys()
            except Unreachable:
                wait = self.retry_every
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait.total_seconds())

    async def _retry(self) -> None:
        await self.remove.retry_due()
        self.backlog.revocations = await count_revocations(self.pool)

    async def _forget(self) -> None:
        now, failed = self.clock(), None
        for forget in (erase_enrollments, expire_codes, delete_old):
            try:
                await forget(self.pool, now=now)
            except _FAILURES as error:
                # What comes after it is erased all the same.
                failed = error
        if failed is not None:
            raise failed


@dataclass(frozen=True)
class ImportWorkers:
    """The loops of imports; of several processes one at a time is at each import."""

    housekeeping: Housekeeping
    # How soon an import begins after it was started.
    work_every: timedelta = timedelta(seconds=1)
    look_every: timedelta = timedelta(minutes=1)

    async def work(self, stop: asyncio.Event) -> None:
        """Work through imports (a part of the process); what has begun is kept, step by step."""

        async def all_there_is() -> None:
            while not stop.is_set() and await self.housekeeping.importing.round():
                pass

        await _every(self.work_every, all_there_is, stop=stop)

    async def keep_house(self, stop: asyncio.Event) -> None:
        """Do what imports want by the clock (a part of the process)."""
        await _every(self.look_every, self.housekeeping.look, stop=stop)


async def _every(
    interval: timedelta, work: Callable[[], Awaitable[None]], *, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            await work()
        except _FAILURES as error:
            _LOG.warning("work waits", exception=type(error).__name__)
        try:
            await asyncio.wait_for(stop.wait(), interval.total_seconds())
        except TimeoutError:
            continue
