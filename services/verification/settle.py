"""Settle: the one place where a code is accepted, for many requests in one statement.

Requests that arrive while a commit runs settle together in the next one: no timer, one connection.
Never two of one subject in a batch; subjects are locked first, in id order, so batches of several
processes cannot lock each other out.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.resources import files
from uuid import UUID

import asyncpg
import msgspec
import structlog

from contracts.envelope import application_key
from contracts.topics import APPLICATIONS, EVENTS
from libs.batching import Batches
from libs.messaging.cloud_event import CloudEvent, body_without_sequence
from libs.postgres.line import FAILURES, Line
from services.verification.domain.budget import Budget

_LOG = structlog.get_logger("settle")
_SETTLE = files(__package__).joinpath("settle.sql").read_text()
_LARGEST_BATCH = 256
# For so long the same Idempotency-Key gets the first answer.
ANSWERS_KEPT = timedelta(minutes=15)
_TIMEOUT_SECONDS = 3.0
# Below our own limit, so that what we call failed cannot still commit.
_STATEMENT_TIMEOUT_MS = 2500
_LOCK_TIMEOUT_MS = 500
# Who has waited longer for the batch before is not begun, and hears so within our own limit.
_PATIENCE = timedelta(seconds=1.5)


class AuthorityDown(Exception):  # noqa: N818
    """PostgreSQL did not settle: nothing was accepted, and if it was, a repeat gets the answer."""


class KnownCaller(msgspec.Struct, frozen=True):
    """The application that asks, in the version that this process knows of it."""

    tenant: UUID
    application_id: UUID
    version: int


class Idempotency(msgspec.Struct, frozen=True):
    """The caller's Idempotency-Key and request, as digests, for the answer to be repeated.

    What a repeat cannot know but has to say again stands behind the digest of the request.
    """

    key: bytes
    request: bytes


class Acceptance(msgspec.Struct, frozen=True):
    """The code of `step` matched; PostgreSQL has the last word."""

    authenticator_id: UUID
    epoch: int
    step: int
    idempotency: Idempotency | None


class Entry(msgspec.Struct, frozen=True):
    """One request to settle: accepted if there is an acceptance, otherwise a failure to count.

    `lookup` is the digest of the name that was asked for, `weight` what the guess costs, and
    `charged` says that PostgreSQL itself has charged it; `lock_event` is written where this
    failure locks the subject.
    """

    caller: KnownCaller
    subject_ref: UUID
    lookup: bytes
    now: datetime
    weight: int
    charged: bool
    acceptance: Acceptance | None
    event: CloudEvent
    lock_event: CloudEvent | None


class Settled(msgspec.Struct, frozen=True):
    """Whether the entry took effect; for a failure, how many in a row, how full the bucket."""

    took_effect: bool
    consecutive: int = 0
    spent: float = 0.0


_NOTHING = Settled(took_effect=False)


class Settler:
    """Settles entries in batches on one connection of the narrow role."""

    def __init__(self, dsn: str, *, budget: Budget) -> None:
        self._line = Line(
            dsn,
            name="settle",
            seconds=_TIMEOUT_SECONDS,
            server_settings={
                "lock_timeout": str(_LOCK_TIMEOUT_MS),
                "statement_timeout": str(_STATEMENT_TIMEOUT_MS),
                "plan_cache_mode": "force_generic_plan",
            },
        )
        self._limits = (float(budget.capacity), budget.per_second, budget.consecutive)
        self._closed = False
        self._batches: Batches[Entry, Settled] = Batches(
            self._settle_batch,
            largest=_LARGEST_BATCH,
            patience=_PATIENCE,
            apart=lambda entry: (entry.caller.tenant, entry.subject_ref),
        )

    def settle(self, entry: Entry) -> asyncio.Future[Settled]:
        """Answer when the entry is durable.

        This and the answer raise AuthorityDown where nobody can say, TimeoutError if not begun.
        """
        if self._closed:
            raise AuthorityDown("stopping")
        return self._batches.do(entry)

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until asked to stop, then settle what waits (a part of the process)."""
        try:
            await stop.wait()
        finally:
            self._closed = True
            await self._batches.drained()
            # A PostgreSQL that hangs must not turn an orderly stop into a crash.
            with suppress(*FAILURES):
                await self._line.close()

    async def _settle_batch(self, entries: list[Entry]) -> list[Settled | Exception]:
        try:
            rows = await self._write(entries)
        except asyncpg.LockNotAvailableError:
            return await self._one_by_one(entries)
        except FAILURES as error:
            _LOG.warning("settle failed", exception=type(error).__name__, entries=len(entries))
            return [AuthorityDown(type(error).__name__) for _ in entries]
        return [rows.get(number, _NOTHING) for number in range(len(entries))]

    async def _one_by_one(self, entries: list[Entry]) -> list[Settled | Exception]:
        """Settle a batch in which one row is locked by somebody else: only that one fails."""
        if len(entries) == 1:
            _LOG.warning("a subject's row is locked")
            return [AuthorityDown("locked by another transaction")]
        return [(await self._settle_batch([entry]))[0] for entry in entries]

    async def _write(self, entries: list[Entry]) -> dict[int, Settled]:
        rows = await self._line.fetch(_SETTLE, *self._arguments(entries))
        return {n: Settled(True, consecutive, spent) for n, consecutive, spent in rows}

    def _arguments(self, entries: list[Entry]) -> list[object]:
        callers = {caller: n for n, caller in enumerate({entry.caller for entry in entries})}
        return [
            *_columns(entries, callers),
            *self._limits,
            EVENTS.name,
            APPLICATIONS.name,
            list(callers.values()),
            [caller.tenant for caller in callers],
            [caller.application_id for caller in callers],
            [application_key(caller.tenant, caller.application_id) for caller in callers],
            [caller.version for caller in callers],
            ANSWERS_KEPT,
        ]


def _columns(entries: list[Entry], callers: dict[KnownCaller, int]) -> list[list[object]]:
    rows = [
        (
            n,
            entry.caller.tenant,
            entry.subject_ref,
            entry.lookup,
            entry.now,
            float(entry.weight),
            entry.charged,
            entry.event.id,
            entry.event.type,
            body_without_sequence(entry.event),
            *_lock_of(entry.lock_event),
            *_accepted(entry.acceptance),
            callers[entry.caller],
            *_repeatable(entry.acceptance),
        )
        for n, entry in enumerate(entries)
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def _lock_of(event: CloudEvent | None) -> tuple[str | None, UUID | None]:
    return (body_without_sequence(event), event.id) if event is not None else (None, None)


def _accepted(acceptance: Acceptance | None) -> tuple[UUID | None, int | None, int | None]:
    if acceptance is None:
        return None, None, None
    return acceptance.authenticator_id, acceptance.epoch, acceptance.step


def _repeatable(acceptance: Acceptance | None) -> tuple[bytes | None, bytes | None]:
    if acceptance is None or acceptance.idempotency is None:
        return None, None
    return acceptance.idempotency.key, acceptance.idempotency.request
