"""Settle: the one place where a code is accepted, for many requests in one statement.

Requests that arrive while a commit runs settle together in the next one: no timer, one connection.
Never two of one subject in a batch; subjects are locked first, in id order, so batches of several
processes cannot lock each other out.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from libs.messaging.cloud_event import CloudEvent, body_without_sequence
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from services.verification.domain.budget import Budget

_LOG = structlog.get_logger("settle")
_LARGEST_BATCH = 256
_TIMEOUT_SECONDS = 5.0
_STATEMENT_TIMEOUT_MS = 4000
_LOCK_TIMEOUT_MS = 500
# Whatever breaks, settling goes on: nobody else does it for this process.
_FAILURES: tuple[type[Exception], ...] = (*INFRASTRUCTURE_ERRORS, asyncpg.PostgresError)

# $1..$14 and $24 are arrays, one element an entry; $15.. the budget and the topic. The parts:
# held: the subjects' rows, locked in order, with the bucket as it stands now
# took: the compare-and-set; a code that is not newer, a lock or a full bucket changes no row
# counted: failures; refunded: a success ends the run of failures
# ordered: the person's sequence, under the lock of its row; then events, and answers to repeat
_SETTLE = """
WITH entry AS (
    SELECT *, e.tenant_id || '/' || e.subject_ref AS key,
        $18::text || ' ' || e.tenant_id || '/' || e.subject_ref AS counted
    FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::bool[], $5::uuid[], $6::int[],
        $7::bigint[], $8::timestamptz[], $9::bool[], $10::uuid[], $11::text[], $12::text[],
        $13::uuid[], $14::text[], $24::float8[])
    AS e (n, tenant_id, subject_ref, accept, authenticator_id, epoch, step, now, charged,
        event_id, type, body, lock_event_id, lock_body, weight)
), held AS MATERIALIZED (
    SELECT e.n, s.tenant_id, s.id, s.consecutive,
        greatest(0, s.spent - $16 * greatest(0, extract(epoch FROM e.now - s.spent_at))) AS level
    FROM subject s JOIN entry e ON s.tenant_id = e.tenant_id AND s.id = e.subject_ref
    ORDER BY s.tenant_id, s.id FOR UPDATE OF s
), took AS (
    UPDATE authenticator a SET last_step = e.step
    FROM entry e JOIN held h USING (n)
    WHERE e.accept AND a.tenant_id = e.tenant_id AND a.id = e.authenticator_id
        AND a.subject_ref = e.subject_ref AND a.status = 'active' AND a.epoch = e.epoch
        AND a.last_step < e.step AND h.consecutive < $17
        AND h.level + CASE WHEN e.charged THEN 0 ELSE e.weight END <= $15
    RETURNING e.n
), counted AS (
    UPDATE subject s SET consecutive = s.consecutive + 1, spent_at = greatest(s.spent_at, e.now),
        spent = h.level + CASE WHEN e.charged THEN 0 ELSE e.weight END
    FROM entry e JOIN held h USING (n)
    WHERE NOT e.accept AND s.tenant_id = e.tenant_id AND s.id = e.subject_ref
    RETURNING e.n, s.consecutive, s.spent
), refunded AS (
    UPDATE subject s SET consecutive = 0, spent_at = greatest(s.spent_at, e.now),
        spent = greatest(0, h.level - CASE WHEN e.charged THEN e.weight ELSE 0 END)
    FROM took JOIN entry e USING (n) JOIN held h USING (n)
    WHERE s.tenant_id = e.tenant_id AND s.id = e.subject_ref AND (s.consecutive > 0 OR e.charged)
), done AS (
    SELECT n, 0 AS consecutive, 1 AS events, 0::float8 AS spent FROM took
    UNION ALL
    SELECT n, consecutive, CASE WHEN consecutive = $17 THEN 2 ELSE 1 END, spent FROM counted
), ordered AS (
    INSERT INTO event_order AS o (tenant_id, key, sequence)
    SELECT e.tenant_id, e.counted, d.events
    FROM done d JOIN entry e USING (n) ORDER BY 1, 2
    ON CONFLICT (tenant_id, key) DO UPDATE SET sequence = o.sequence + excluded.sequence
    RETURNING tenant_id, key, sequence
), said AS (
    SELECT e.n, e.tenant_id, e.key, e.event_id AS id, e.type, e.body,
        o.sequence - d.events + 1 AS sequence
    FROM done d JOIN entry e USING (n)
        JOIN ordered o ON o.tenant_id = e.tenant_id AND o.key = e.counted
    UNION ALL
    SELECT e.n, e.tenant_id, e.key, e.lock_event_id, 'mfa.locked', e.lock_body, o.sequence
    FROM done d JOIN entry e USING (n)
        JOIN ordered o ON o.tenant_id = e.tenant_id AND o.key = e.counted
    WHERE d.events = 2
), announced AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, sequence)
    SELECT id, $18::text, key, type,
        convert_to('{"sequence":"' || sequence || '",' || substr(body, 2), 'UTF8'),
        tenant_id, sequence
    FROM said
), repeatable AS (
    INSERT INTO answer (tenant_id, application_id, idempotency_key, request, event_id,
        authenticator_id, factor, at)
    SELECT e.tenant_id, r.application_id, r.idempotency_key, r.request, e.event_id,
        e.authenticator_id, r.factor, e.now
    FROM took JOIN entry e USING (n)
        JOIN unnest($19::int[], $20::uuid[], $21::bytea[], $22::bytea[], $23::text[])
            AS r (n, application_id, idempotency_key, request, factor) USING (n)
    ON CONFLICT DO NOTHING
)
SELECT n, consecutive, spent FROM done
"""


class AuthorityDown(Exception):  # noqa: N818
    """PostgreSQL did not settle: nothing was accepted, and if it was, a repeat gets the answer."""


@dataclass(frozen=True)
class Idempotency:
    """The caller's Idempotency-Key and request, as digests, for the answer to be repeated."""

    application_id: UUID
    key: bytes
    request: bytes
    factor: str


@dataclass(frozen=True)
class Acceptance:
    """The code of `step` matched; PostgreSQL has the last word."""

    authenticator_id: UUID
    epoch: int
    step: int
    idempotency: Idempotency | None


@dataclass(frozen=True)
class Entry:
    """One request to settle: accepted if there is an acceptance, otherwise a failure to count.

    `weight` is what the guess costs, and `charged` says that PostgreSQL itself has charged it;
    `lock_event` is written where this failure locks the subject.
    """

    tenant: UUID
    subject_ref: UUID
    now: datetime
    weight: int
    charged: bool
    acceptance: Acceptance | None
    event: CloudEvent
    lock_event: CloudEvent


@dataclass(frozen=True)
class Settled:
    """Whether the entry took effect; for a failure, how many in a row, how full the bucket."""

    took_effect: bool
    consecutive: int = 0
    spent: float = 0.0


class Settler:
    """Collects entries and settles them in batches on one connection of the narrow role."""

    def __init__(self, dsn: str, *, budget: Budget, topic: str) -> None:
        self._dsn = dsn
        self._budget = budget
        self._topic = topic
        self._waiting: list[tuple[Entry, asyncio.Future[Settled]]] = []
        self._wake = asyncio.Event()
        self._closed = False
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def settle(self, entry: Entry) -> Settled:
        """Return when the entry is durable; raises AuthorityDown where nobody can say."""
        if self._closed:
            raise AuthorityDown("stopping")
        future: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, future))
        self._wake.set()
        # Shielded: a client that goes away must not take the batch with it.
        return await asyncio.shield(future)

    async def run(self, stop: asyncio.Event) -> None:
        """Settle until asked to stop and nothing waits (a part of the process)."""
        stopping = asyncio.create_task(self._wake_at(stop))
        try:
            while not stop.is_set() or self._waiting:
                await self._wake.wait()
                self._wake.clear()
                while batch := self._next_batch():
                    await self._settle_or_refuse(batch)
        finally:
            self._closed = True
            stopping.cancel()
            _refuse(self._waiting, "stopping")
            if self._connection is not None:
                # A PostgreSQL that hangs must not turn an orderly stop into a crash.
                with suppress(*_FAILURES):
                    await self._connection.close(timeout=2)

    async def _settle_or_refuse(self, batch: list[tuple[Entry, asyncio.Future[Settled]]]) -> None:
        try:
            await self._settle_batch(batch)
        finally:
            # Nobody is left waiting where settling itself breaks down.
            _refuse(batch, "stopping")

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    def _next_batch(self) -> list[tuple[Entry, asyncio.Future[Settled]]]:
        batch: list[tuple[Entry, asyncio.Future[Settled]]] = []
        later: list[tuple[Entry, asyncio.Future[Settled]]] = []
        seen: set[tuple[UUID, UUID]] = set()
        for waiting in self._waiting:
            person = (waiting[0].tenant, waiting[0].subject_ref)
            if person in seen or len(batch) == _LARGEST_BATCH:
                later.append(waiting)
                continue
            seen.add(person)
            batch.append(waiting)
        self._waiting = later
        return batch

    async def _settle_batch(self, batch: list[tuple[Entry, asyncio.Future[Settled]]]) -> None:
        entries = [entry for entry, _ in batch]
        try:
            rows = await self._write(entries)
        except asyncpg.LockNotAvailableError:
            await self._one_by_one(batch)
            return
        except _FAILURES as error:
            _LOG.warning("settle failed", exception=type(error).__name__, entries=len(batch))
            await self._drop_connection()
            _refuse(batch, type(error).__name__)
            return
        for number, (_, future) in enumerate(batch):
            if not future.done():
                future.set_result(rows.get(number, Settled(took_effect=False)))

    async def _one_by_one(self, batch: list[tuple[Entry, asyncio.Future[Settled]]]) -> None:
        """Settle a batch in which one row is locked by somebody else: only that one fails."""
        if len(batch) > 1:
            for waiting in batch:
                await self._settle_batch([waiting])
            return
        _LOG.warning("a subject's row is locked")
        _refuse(batch, "locked by another transaction")

    async def _write(self, entries: list[Entry]) -> dict[int, Settled]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=2,
                command_timeout=_TIMEOUT_SECONDS,
                server_settings={
                    "application_name": "settle",
                    "jit": "off",
                    # Below our own limit, so that what we call failed cannot still commit.
                    "lock_timeout": str(_LOCK_TIMEOUT_MS),
                    "statement_timeout": str(_STATEMENT_TIMEOUT_MS),
                },
            )
        rows = await self._connection.fetch(_SETTLE, *self._arguments(entries))
        return {
            row["n"]: Settled(True, consecutive=row["consecutive"], spent=row["spent"])
            for row in rows
        }

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _arguments(self, entries: list[Entry]) -> list[object]:
        taken = [entry.acceptance for entry in entries]
        repeatable = [
            (number, acceptance.idempotency)
            for number, acceptance in enumerate(taken)
            if acceptance is not None and acceptance.idempotency is not None
        ]
        return [
            list(range(len(entries))),
            [entry.tenant for entry in entries],
            [entry.subject_ref for entry in entries],
            [acceptance is not None for acceptance in taken],
            [acceptance.authenticator_id if acceptance else None for acceptance in taken],
            [acceptance.epoch if acceptance else None for acceptance in taken],
            [acceptance.step if acceptance else None for acceptance in taken],
            [entry.now for entry in entries],
            [entry.charged for entry in entries],
            [entry.event.id for entry in entries],
            [entry.event.type for entry in entries],
            [body_without_sequence(entry.event) for entry in entries],
            [entry.lock_event.id for entry in entries],
            [body_without_sequence(entry.lock_event) for entry in entries],
            float(self._budget.capacity),
            self._budget.per_second,
            self._budget.consecutive,
            self._topic,
            [number for number, _ in repeatable],
            [idempotency.application_id for _, idempotency in repeatable],
            [idempotency.key for _, idempotency in repeatable],
            [idempotency.request for _, idempotency in repeatable],
            [idempotency.factor for _, idempotency in repeatable],
            [float(entry.weight) for entry in entries],
        ]


def _refuse(waiting: Sequence[tuple[Entry, asyncio.Future[Settled]]], why: str) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(AuthorityDown(why))
