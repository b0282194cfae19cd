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

# As above for many events: those of one key get their places in the order in which they are given,
# and the rows of event_order are locked in the order of their keys. A missing body stays missing.
_ANNOUNCE_MANY = """
WITH given AS (
    SELECT *, row_number() OVER (PARTITION BY ordered_by ORDER BY place) AS nth,
              count(*) OVER (PARTITION BY ordered_by) AS beside
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
        WITH ORDINALITY AS g(id, topic, key, type, body, ordered_by, place)
), ordered AS (
    INSERT INTO event_order AS o (tenant_id, key, sequence)
    SELECT $1, ordered_by, count(*) FROM given GROUP BY ordered_by ORDER BY ordered_by COLLATE "C"
    ON CONFLICT (tenant_id, key) DO UPDATE SET sequence = o.sequence + excluded.sequence
    RETURNING key, sequence
), placed AS (
    SELECT given.*, ordered.sequence - beside + nth AS sequence
    FROM given JOIN ordered ON ordered.key = given.ordered_by
)
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, tenant_id, sequence)
SELECT id, topic, key, type,
       convert_to('{"sequence":"' || sequence || '",' || substr(body, 2), 'UTF8'), $1, sequence
FROM placed
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
    """Put one tenant's events into the outbox, each for its topic, with one statement.

    A transaction that calls this more than once does so in the order that `announce` asks for.
    """
    events = [
        replace(event, traceparent=event.traceparent or current_traceparent())
        for _, event in announcements
    ]
    topics = [topic for topic, _ in announcements]
    await tx.execute(
        _ANNOUNCE_MANY,
        tenant,
        [event.id for event in events],
        topics,
        [event.key for event in events],
        [event.type for event in events],
        [body_without_sequence(event) for event in events],
        [f"{topic} {event.key}" for topic, event in zip(topics, events, strict=True)],
    )


async def announce_tombstones(
    tx: Connection, tenant: UUID, *, topic: str, kind: str, keys: Sequence[str]
) -> None:
    """Put records without a value into the outbox: Kafka then forgets what it has of these keys."""
    count = len(keys)
    await tx.execute(
        _ANNOUNCE_MANY,
        tenant,
        [new_id() for _ in keys],
        [topic] * count,
        keys,
        [kind] * count,
        [None] * count,
        [f"{topic} {key}" for key in keys],
    )
