"""Records that could not be handled: written through the outbox, listed, and sent again."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.ids import new_id
from libs.messaging.inbox import first_time
from libs.messaging.kafka import KafkaSettings, Message, Producer, Record, read_topic
from libs.postgres.pool import Connection

_LARGEST_VALUE = 256 * 1024
# In the order of the key's offsets; the events of the key are in other topics.
_WRITE = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, sequence, headers)
VALUES ($1, $2, $3, 'dead_letter', $4, $5, $6::text::jsonb)
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of `<topic>.dead`; `value` is that of the original unless `omitted`."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    omitted: bool
    group: str
    exception: str
    attempts: int
    died: datetime


async def write_dead_letter(
    tx: Connection, record: Record, *, group: str, exception: str, attempts: int
) -> bool:
    """Announce that `group` gave this record up; False if it did so before.

    Filed under the record's place and not under the event's id, so that a replayed event is new.
    """
    place = f"{record.topic}/{record.partition}/{record.offset}"
    if not await first_time(tx, consumer=group, message=place, tenant_id=None):
        return False
    value, omitted = _short_enough(record)
    headers = {
        "dead_topic": record.topic,
        "dead_partition": str(record.partition),
        "dead_offset": str(record.offset),
        "dead_group": group,
        "dead_exception": exception,
        "dead_attempts": str(attempts),
        "dead_value": "omitted" if omitted else "whole",
    }
    topic = f"{record.topic}.dead"
    await tx.execute(_WRITE, new_id(), topic, record.key, value, record.offset, json.dumps(headers))
    return True


async def list_dead_letters(kafka: KafkaSettings, topic: str) -> AsyncIterator[DeadLetter]:
    """Yield the dead letters of `topic` (its own name, not that of the dead-letter topic)."""
    async for record in read_topic(kafka, f"{topic}.dead", start="beginning", follow=False):
        yield DeadLetter(
            topic=record.headers["dead_topic"],
            partition=int(record.headers["dead_partition"]),
            offset=int(record.headers["dead_offset"]),
            key=record.key,
            value=record.value,
            omitted=record.headers["dead_value"] == "omitted",
            group=record.headers["dead_group"],
            exception=record.headers["dead_exception"],
            attempts=int(record.headers["dead_attempts"]),
            died=record.timestamp,
        )


async def replay(
    kafka: KafkaSettings, letters: Sequence[DeadLetter], *, dry_run: bool
) -> list[DeadLetter]:
    """Send letters to their topics again, in order, and return those that are surely there.

    Groups that handled the event before drop it by its id; those that gave it up handle it. An
    omitted value stays behind: it is still in the topic, at the letter's place.
    """
    whole = [letter for letter in letters if not letter.omitted]
    if dry_run:
        return whole
    producer = Producer(kafka)
    try:
        sent = await producer.send(
            [Message(letter.topic, letter.key.encode(), letter.value) for letter in whole]
        )
    finally:
        await producer.close()
    return [letter for letter, acknowledged in zip(whole, sent, strict=True) if acknowledged]


def _short_enough(record: Record) -> tuple[bytes | None, bool]:
    value = record.value
    if value is None or len(value) <= _LARGEST_VALUE:
        return value, False
    stub = {
        "size": len(value),
        "sha256": hashlib.sha256(value).hexdigest(),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
    }
    return json.dumps(stub).encode(), True
