"""Messages that wait for another attempt outside their partition, each key in its order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from libs.messaging.kafka import Record
from libs.postgres.pool import Connection, Pool

_PARK = """
INSERT INTO parked (consumer, topic, key, kafka_partition, kafka_offset, tenant_id, value,
                    attempts, next_attempt, exception)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9, $10)
ON CONFLICT DO NOTHING
"""
# The head of a key only, whoever looks; while one process has it, no other does.
_TAKE_HEAD = """
SELECT topic, key, kafka_partition, kafka_offset, value, attempts FROM parked AS head
WHERE consumer = $1 AND next_attempt <= clock_timestamp() AND NOT EXISTS (
    SELECT FROM parked AS earlier
    WHERE earlier.consumer = head.consumer AND earlier.topic = head.topic
      AND earlier.key = head.key AND earlier.kafka_offset < head.kafka_offset)
ORDER BY next_attempt LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_OF_RECORD = """
WHERE consumer = $1 AND topic = $2 AND key = $3 AND kafka_offset = $4 AND kafka_partition = $5
"""
_POSTPONE = f"""
UPDATE parked SET attempts = $6, next_attempt = clock_timestamp() + $7, exception = $8
{_OF_RECORD}"""  # noqa: S608 - a constant
_RELEASE = f"DELETE FROM parked {_OF_RECORD}"  # noqa: S608 - a constant
_COUNT = "SELECT count(*) FROM parked WHERE consumer = $1"


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A record that failed `attempts` times; 0 for one that only waits behind another."""

    record: Record
    attempts: int


async def park(
    pool: Pool,
    group: str,
    record: Record,
    tenant: UUID,
    *,
    failure: str = "",
    wait: timedelta = timedelta(0),
) -> None:
    """Keep a record for later; without a `failure` it waits behind earlier ones of its key."""
    await pool.execute(
        _PARK,
        group,
        record.topic,
        record.key,
        record.partition,
        record.offset,
        tenant,
        record.value,
        1 if failure else 0,
        wait,
        failure,
    )


async def take_head(tx: Connection, group: str) -> ParkedRecord | None:
    """Lock the first message of a key that is due, until the end of the transaction."""
    row = await tx.fetchrow(_TAKE_HEAD, group)
    return None if row is None else ParkedRecord(_record(row), row["attempts"])


async def postpone(
    tx: Connection, group: str, record: Record, *, attempts: int, wait: timedelta, failure: str
) -> None:
    """Leave the head of a key where it is for a while."""
    await tx.execute(_POSTPONE, group, *_place(record), attempts, wait, failure)


async def release(tx: Connection, group: str, record: Record) -> None:
    """Take a record out, so that the next one of its key becomes the head."""
    await tx.execute(_RELEASE, group, *_place(record))


async def count_parked(pool: Pool, group: str) -> int:
    """Return how many messages of the group wait."""
    return int(await pool.fetchval(_COUNT, group))


def _place(record: Record) -> tuple[str, str, int, int]:
    return record.topic, record.key, record.offset, record.partition


def _record(row: asyncpg.Record) -> Record:
    return Record(
        topic=row["topic"],
        partition=row["kafka_partition"],
        offset=row["kafka_offset"],
        key=row["key"],
        value=row["value"],
        headers={},
        timestamp=datetime.now(UTC),
    )
