"""Loops that take work which is due: claims, and answers that are old enough to go."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from pydantic import ValidationError

from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.line import FAILURES
from libs.postgres.pool import Pool
from libs.sealing.seal import SealBroken
from libs.telemetry import span
from libs.web.internal_client import Refused, Unreachable
from services.verification.store import claims, skips
from services.verification.store.answers import delete_answers
from services.verification.store.devices import delete_old

_LOG = structlog.get_logger("workers")
_AT_ONCE = 20
_LOOK_EVERY = timedelta(seconds=1)
_CLEAN_EVERY = timedelta(minutes=1)
_SUM_UP_EVERY = timedelta(minutes=1)
# Of whom policy never spoke: whoever comes back after so long may put enrolling off anew.
_STRANGERS_KEPT = timedelta(days=400)
_WATCH_EVERY = timedelta(seconds=2)
# A credential that breaks the contract must not stop the claims of all others.
_FAILURES: tuple[type[Exception], ...] = (
    Unreachable,
    Refused,
    SealBroken,
    ValidationError,
    *FAILURES,
)


class ClaimWorker:
    """Makes claims as they come due; `wake` saves it the wait after an event."""

    def __init__(self, pool: Pool, fulfil: Callable[[claims.Claim], Awaitable[None]]) -> None:
        self._pool = pool
        self._fulfil = fulfil
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now, and again a moment later: the event's transaction commits after this call."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until asked to stop (a part of the process)."""
        while not stop.is_set():
            try:
                taken = await claims.take_due(self._pool, most=_AT_ONCE)
                await asyncio.gather(*(self._try(claim) for claim in taken))
            except FAILURES as error:
                _LOG.warning("claims cannot be read", exception=type(error).__name__)
                taken = []
            if not taken:
                await self._pause(stop)

    async def _pause(self, stop: asyncio.Event) -> None:
        if self._woken.is_set():
            # The wake-up came before the commit that it announced: short looks until it shows.
            self._woken.clear()
            await _either(stop, timedelta(milliseconds=15))
            return
        waiting = asyncio.create_task(self._woken.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait(
            {waiting, stopping},
            timeout=_LOOK_EVERY.total_seconds(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        waiting.cancel()
        stopping.cancel()

    async def _try(self, claim: claims.Claim) -> None:
        with span(f"claim {claim.kind}", traceparent=claim.traceparent):
            try:
                await self._fulfil(claim)
            except _FAILURES as error:
                _LOG.info("claim waits", kind=claim.kind, exception=type(error).__name__)
                await claims.try_later(self._pool, claim)


async def forget_answers(pool: Pool, *, older_than: timedelta, stop: asyncio.Event) -> None:
    """Delete answers that no repeat may ask for any more, until asked to stop."""
    while not stop.is_set():
        try:
            while await delete_answers(pool, older_than) and not stop.is_set():
                pass
        except FAILURES as error:
            _LOG.warning("answers cannot be cleaned up", exception=type(error).__name__)
        await _either(stop, _CLEAN_EVERY)


async def forget_old_devices(pool: Pool, *, kept: timedelta, stop: asyncio.Event) -> None:
    """Delete devices that were forgotten or expired longer ago than `kept`, until asked to stop."""
    while not stop.is_set():
        try:
            await delete_old(pool, kept)
        except INFRASTRUCTURE_ERRORS as error:
            _LOG.warning("devices cannot be cleaned up", exception=type(error).__name__)
        await _either(stop, _CLEAN_EVERY)


async def forget_old_skips(pool: Pool, *, answers: timedelta, stop: asyncio.Event) -> None:
    """Delete what nobody may ask for or can be told of by a deletion, until asked to stop."""
    while not stop.is_set():
        try:
            await skips.delete_old(pool, answers=answers, strangers=_STRANGERS_KEPT)
        except INFRASTRUCTURE_ERRORS as error:
            _LOG.warning("skips cannot be cleaned up", exception=type(error).__name__)
        await _either(stop, _CLEAN_EVERY)


async def rotate_receipt_keys(
    rotate: Callable[[], Awaitable[None]], *, stop: asyncio.Event
) -> None:
    """Publish the next key of receipts when it is due, until asked to stop."""
    while not stop.is_set():
        try:
            await rotate()
        except INFRASTRUCTURE_ERRORS as error:
            _LOG.warning("keys of receipts cannot be rotated", exception=type(error).__name__)
        await _either(stop, _CLEAN_EVERY)


async def announce_refusals(
    announce: Callable[[], Awaitable[None]], *, stop: asyncio.Event
) -> None:
    """Announce sums once a minute, and the last ones when asked to stop."""
    while not stop.is_set():
        await _either(stop, _SUM_UP_EVERY)
        try:
            await announce()
        except INFRASTRUCTURE_ERRORS as error:
            _LOG.warning("refusals cannot be announced", exception=type(error).__name__)


async def watch_cache(look: Callable[[], Awaitable[None]], *, stop: asyncio.Event) -> None:
    """Look every few seconds whether the cache is still one that may be used."""
    while not stop.is_set():
        await _either(stop, _WATCH_EVERY)
        await look()


async def _either(stop: asyncio.Event, wait: timedelta) -> None:
    try:
        await asyncio.wait_for(stop.wait(), wait.total_seconds())
    except TimeoutError:
        return
