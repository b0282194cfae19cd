"""An event is written beside the change that it announces, and gets its place in the order."""

from msgspec.structs import replace

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
