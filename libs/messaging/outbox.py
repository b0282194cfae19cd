"""An event is written beside the change that it announces, and gets its place in the order."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from libs.ids import new_id
from libs.messaging.cloud_event import CloudEvent, body_without_sequence
from libs.postgres.pool import Connection
from libs.telemetry import current_traceparent

# One statement: the row of event_order is the lock of the person (or other key) until the commit,
# so whoever gets sequence n + 1 has waited for the commit of n.
_ANNOUNCE = """
WITH ordered AS (
    INSERT INTO event_order AS o (tenant_id, key, sequence) VALUES ($1, $7, 1)
    ON CONFLICT (tenant_id, key) DO UPDATE SET sequence = o.sequence + 1
    RETURNING sequence
), written AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, sequence)
    SELECT $3, $4, $2, $5,
           convert_to('{"sequence":"' || sequence || '",' || substr($6, 2), 'UTF8'), $1, sequence
    FROM ordered
)
SELECT sequence FROM ordered
"""
# The same for many keys, locked in their order. A missing body stays missing: a tombstone.
_ANNOUNCE_MANY = """
WITH given AS (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[])
        AS g (id, topic, key, type, body)
), ordered AS (
    INSERT INTO event_order AS o (tenant_id, key, sequence)
    SELECT $1, topic || ' ' || key, 1 FROM given ORDER BY (topic || ' ' || key) COLLATE "C"
    ON CONFLICT (tenant_id, key) DO UPDATE SET sequence = o.sequence + 1
    RETURNING o.key, o.sequence
)
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, sequence)
SELECT given.id, topic, given.key, type,
       convert_to('{"sequence":"' || sequence || '",' || substr(body, 2), 'UTF8'), $1, sequence
FROM given JOIN ordered ON ordered.key = topic || ' ' || given.key
"""


async def announce(tx: Connection, *, topic: str, event: CloudEvent) -> int:
    """Put `event` into the outbox and return its sequence; `event.sequence` is ignored.

    The event continues the trace that runs, unless it has one. Sequences are counted per topic and
    key, and what is counted stays locked until the commit: a transaction that announces for several
    keys does so in the order of the keys, and for several topics in one order of these.
    """
    if event.traceparent is None:
        event = replace(event, traceparent=current_traceparent())
    sequence: int = await tx.fetchval(
        _ANNOUNCE,
        event.tenant,
        event.key,
        event.id,
        topic,
        event.type,
        body_without_sequence(event),
        f"{topic} {event.key}",
    )
    return sequence


async def announce_many(
    tx: Connection, tenant: UUID, announcements: Sequence[tuple[str, CloudEvent]]
) -> None:
    """Put events of one tenant into the outbox at once, each with its topic.

    A topic and key may come once. They are locked in the order that `announce` asks for.
    """
    trace = current_traceparent()
    events = [
        replace(event, traceparent=trace) if event.traceparent is None else event
        for _, event in announcements
    ]
    await tx.execute(
        _ANNOUNCE_MANY,
        tenant,
        [event.id for event in events],
        [topic for topic, _ in announcements],
        [event.key for event in events],
        [event.type for event in events],
        [body_without_sequence(event) for event in events],
    )


async def announce_tombstones(
    tx: Connection, tenant: UUID, *, topic: str, kind: str, keys: Sequence[str]
) -> None:
    """Put records without a value into the outbox: Kafka then forgets what it has of these keys."""
    count = len(keys)
    ids, empty = [new_id() for _ in keys], [None] * count
    await tx.execute(_ANNOUNCE_MANY, tenant, ids, [topic] * count, keys, [kind] * count, empty)
