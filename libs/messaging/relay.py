"""Sends the outbox to Kafka: each key by `sequence`, nothing lost, rows deleted once acknowledged.

A row is visible only when it is committed, and the row before it of the same key was committed
earlier (outbox.py), so one snapshot never shows a row without those before it. Forgotten
transactions therefore delay their own key only. One relay of a service is active at a time; where
two overlap, each still sends every key in order, so the first occurrences in Kafka are in order and
the rest are duplicates that inboxes drop.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from libs.messaging.cloud_event import CONTENT_TYPE
from libs.messaging.kafka import Message, Producer
from libs.messaging.lease import Lease
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Connection, Pool

logger = logging.getLogger(__name__)

_READ = """
SELECT id, aggregatetype, aggregateid, type, payload, tenant_id, sequence, headers::text
FROM outbox WHERE aggregateid > $1 ORDER BY aggregateid, sequence, id LIMIT $2
"""
_DELETE = """
WITH mine AS (SELECT FROM relay_lease WHERE name = $1 AND epoch = $2 FOR SHARE)
DELETE FROM outbox USING mine, unnest($3::text[], $4::bigint[], $5::uuid[]) AS sent (k, s, i)
WHERE aggregateid = sent.k AND sequence = sent.s AND id = sent.i
"""
_COUNTED = 20_000
_LOOK = f"""
SELECT count(*) AS backlog, coalesce(clock_timestamp() - min(recorded), interval '0') AS age
FROM (SELECT recorded FROM outbox LIMIT {_COUNTED}) AS sample
"""  # noqa: S608 - a constant
# The planner saw an empty table when it made the plan that the connection keeps; with a backlog
# that plan would sort all of it at every poll.
_READ_BY_KEY = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off"

_LOOK_EVERY = timedelta(seconds=5)
_LONGEST_WAIT = 2.0


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """How often, how much and how long; polling more often than 50 ms costs the hot path."""

    poll: timedelta = timedelta(milliseconds=50)
    batch: int = 500
    lease: timedelta = timedelta(seconds=15)
    alarm_after: timedelta = timedelta(seconds=60)


@dataclass(slots=True)
class RelayHealth:
    """What readiness and metrics read; `backlog` is counted up to 20,000 only."""

    active: bool = False
    backlog: int = 0
    oldest_age: timedelta = timedelta(0)
    last_success: datetime | None = None
    sent: int = 0
    failures: int = 0


@dataclass(slots=True)
class _Position:
    """Reading goes round the keys, so that a long backlog of one key does not starve the others."""

    after: str = ""
    looked: float = float("-inf")
    wait: float = 0.0


class _Attributes(msgspec.Struct):
    source: str
    time: str
    subject: str | None = None


async def run_relay(
    pool: Pool,
    producer: Producer,
    *,
    service: str,
    stop: asyncio.Event,
    health: RelayHealth | None = None,
    limits: RelayLimits = RelayLimits(),
) -> None:
    """Relay until `stop` is set, through failures of Kafka and PostgreSQL.

    `pool` has the worker role. The producer's limit is below half of the lease.
    """
    health = health or RelayHealth()
    relay = _Relay(producer, Lease(service, limits.lease), health, limits)
    while not stop.is_set():
        try:
            async with pool.acquire() as connection:
                await connection.execute(_READ_BY_KEY)
                await relay.work(connection, stop)
        except INFRASTRUCTURE_ERRORS as error:
            health.active, health.failures = False, health.failures + 1
            logger.warning("Relay lost its database", extra={"cause": type(error).__name__})
            await _pause(stop, 1.0)
    health.active = False


@dataclass(slots=True)
class _Relay:
    producer: Producer
    lease: Lease
    health: RelayHealth
    limits: RelayLimits

    async def work(self, connection: Connection, stop: asyncio.Event) -> None:
        position = _Position()
        while not stop.is_set():
            self.health.active = await self.lease.hold(connection)
            if self.health.active:
                await self._look(connection, position)
                await self._round(connection, position)
            else:
                position.wait = 1.0
            await _pause(stop, position.wait)
        await self.lease.give_back(connection)

    async def _round(self, connection: Connection, position: _Position) -> None:
        rows = await connection.fetch(_READ, position.after, self.limits.batch)
        sent = await self._send(connection, rows) if rows and self.lease.surely_held() else 0
        if not rows or self.producer.reachable:
            self.health.last_success = datetime.now(UTC)
            more = len(rows) == self.limits.batch or position.after != ""
            stuck = rows and not sent
            position.wait = 0.0 if more and not stuck else self.limits.poll.total_seconds()
        else:
            position.wait = min(_LONGEST_WAIT, 2 * position.wait + self.limits.poll.total_seconds())
        position.after = rows[-1]["aggregateid"] if len(rows) == self.limits.batch else ""

    async def _send(self, connection: Connection, rows: list[asyncpg.Record]) -> int:
        outcome = await self.producer.send([_message(row) for row in rows])
        sent = [row for row, acknowledged in zip(rows, outcome, strict=True) if acknowledged]
        self.health.failures += not self.producer.reachable
        if not sent:
            return 0
        columns = [[row[name] for row in sent] for name in ("aggregateid", "sequence", "id")]
        done = await connection.execute(_DELETE, self.lease.name, self.lease.epoch, *columns)
        if done == "DELETE 0":
            # Another relay took over and sends these rows again: the inboxes drop them.
            logger.warning("Relay was fenced", extra={"epoch": self.lease.epoch})
            self.lease.epoch = None
        self.health.sent += len(sent)
        return len(sent)

    async def _look(self, connection: Connection, position: _Position) -> None:
        now = asyncio.get_running_loop().time()
        if now - position.looked < _LOOK_EVERY.total_seconds():
            return
        position.looked = now
        found = await connection.fetchrow(_LOOK)
        if found is not None:
            self.health.backlog, self.health.oldest_age = found["backlog"], found["age"]
        if self.health.oldest_age > self.limits.alarm_after:
            logger.error(
                "Events are not getting out",
                extra={"oldest": str(self.health.oldest_age), "backlog": self.health.backlog},
            )


def _message(row: asyncpg.Record) -> Message:
    return Message(
        topic=row["aggregatetype"],
        key=row["aggregateid"].encode(),
        value=row["payload"],
        headers=_own_headers(row) if row["headers"] is not None else _event_headers(row),
    )


def _own_headers(row: asyncpg.Record) -> tuple[tuple[str, bytes], ...]:
    headers = msgspec.json.decode(row["headers"], type=dict[str, str])
    return tuple((name, value.encode()) for name, value in headers.items())


def _event_headers(row: asyncpg.Record) -> tuple[tuple[str, bytes], ...]:
    """Repeat the event's attributes beside the body, so that readers can filter cheaply."""
    headers = {
        "content-type": CONTENT_TYPE,
        "ce_specversion": "1.0",
        "ce_id": str(row["id"]),
        "ce_type": row["type"],
        "ce_tenant": str(row["tenant_id"]),
        "ce_sequence": str(row["sequence"]),
    }
    # A row without a readable body (a tombstone) is sent all the same.
    with contextlib.suppress(msgspec.DecodeError):
        event = msgspec.json.decode(row["payload"] or b"", type=_Attributes)
        headers |= {"ce_source": event.source, "ce_time": event.time}
        if event.subject is not None:
            headers["ce_subject"] = event.subject
    return tuple((name, value.encode()) for name, value in headers.items())


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
