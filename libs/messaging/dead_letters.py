"""Records that could not be handled: written through the outbox, listed, and sent again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.ids import new_id
from libs.messaging.inbox import first_time
from libs.messaging.kafka import KafkaSettings, Message, Producer, Record, read_topic
from libs.postgres.pool import Connection

_LARGEST_VALUE = 256 * 1024
# The header of a note among the letters: the original at this place was sent to its topic again.
_SENT_AGAIN = "dead_sent_again"
# In the order of the key's offsets; the events of the key are in other topics.
_WRITE = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, sequence, headers)
VALUES ($1, $2, $3, 'dead_letter', $4, $5, $6::text::jsonb)
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of `<topic>.dead`; `value` is that of the original unless `omitted`.

    `number` is its place among all that were ever written, so it stays its own.
    """

    number: int
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

    @property
    def place(self) -> str:
        """Return where the original is; several groups may have given it up."""
        return _place(self.topic, self.partition, self.offset)


async def write_dead_letter(
    tx: Connection, record: Record, *, group: str, exception: str, attempts: int
) -> bool:
    """Announce that `group` gave this record up; False if it did so before.

    Filed under the record's place and not under the event's id, so that a replayed event is new.
    """
    place = _place(record.topic, record.partition, record.offset)
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


async def list_dead_letters(kafka: KafkaSettings, topic: str) -> list[DeadLetter]:
    """Return what groups gave up of `topic` and nobody has sent again since, oldest first."""
    letters: list[DeadLetter] = []
    async for record in read_topic(kafka, f"{topic}.dead", start="beginning", follow=False):
        sent_again = record.headers.get(_SENT_AGAIN)
        if sent_again is None:
            letters.append(_letter(record))
        else:
            letters = [letter for letter in letters if letter.place != sent_again]
    return letters


async def replay(
    kafka: KafkaSettings, letters: Sequence[DeadLetter], *, dry_run: bool
) -> list[DeadLetter]:
    """Send the originals to their topics again, each once, and return those that are surely there.

    Groups that handled the event before drop it by its id; those that gave it up handle it. An
    omitted value stays behind: it is still in the topic, at the letter's place. What was sent is
    noted beside the letters, and listed no more.
    """
    whole = list({letter.place: letter for letter in letters if not letter.omitted}.values())
    if dry_run:
        return whole
    producer = Producer(kafka)
    try:
        sent = await producer.send(
            [Message(letter.topic, letter.key.encode(), letter.value) for letter in whole]
        )
        done = [letter for letter, acknowledged in zip(whole, sent, strict=True) if acknowledged]
        await producer.send([_note(letter) for letter in done])
    finally:
        await producer.close()
    return done


def _note(letter: DeadLetter) -> Message:
    headers = ((_SENT_AGAIN, letter.place.encode()),)
    return Message(f"{letter.topic}.dead", letter.key.encode(), None, headers)


def _letter(record: Record) -> DeadLetter:
    return DeadLetter(
        number=record.offset + 1,
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


def _place(topic: str, partition: int, offset: int) -> str:
    return f"{topic}/{partition}/{offset}"


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
