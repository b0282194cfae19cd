"""A service's own copy of state that another service publishes: the highest version wins."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from uuid import UUID

from libs.messaging.cloud_event import CloudEvent, InvalidEvent
from libs.postgres.pool import Connection

# Every process of the service listens here and drops what it has cached of the key.
CHANNEL = "replica"

_KEEP = """
INSERT INTO replica AS mine (tenant_id, topic, key, version, deleted, state)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb)
ON CONFLICT (tenant_id, topic, key) DO UPDATE
SET version = excluded.version, deleted = excluded.deleted, state = excluded.state,
    recorded = clock_timestamp()
WHERE mine.version < excluded.version
RETURNING pg_notify('replica', $7)
"""
_STATE = "SELECT state::text FROM replica WHERE topic = $1 AND key = $2 AND NOT deleted"
_STATES = """
SELECT state::text AS state FROM replica
WHERE topic = $1 AND tenant_id = NULLIF(current_setting('app.tenant', true), '')::uuid
  AND NOT deleted
"""
_AGE = "SELECT clock_timestamp() - recorded FROM replica WHERE topic = $1 AND key = $2"


def keep_copy(topic: str) -> Callable[[Connection, CloudEvent], Awaitable[None]]:
    """Return a handler that saves an event's data as the state of its key."""

    async def keep(tx: Connection, event: CloudEvent) -> None:
        await save_copy(tx, tenant=event.tenant, topic=topic, key=event.key, state=event.data)

    return keep


async def save_copy(
    tx: Connection, *, tenant: UUID, topic: str, key: str, state: Mapping[str, object]
) -> None:
    """Store a state with its `version`, unless as high a version is there.

    Of a state that says `deleted` only the version is kept. A change is announced on `CHANNEL` as
    JSON with topic, tenant and key. Raises InvalidEvent for a state without a version.
    """
    version, deleted = state.get("version"), state.get("deleted", False)
    if type(version) is not int or type(deleted) is not bool:
        raise InvalidEvent("state without a version")
    kept = "{}" if deleted else json.dumps(state)
    change = json.dumps({"topic": topic, "tenant": str(tenant), "key": key})
    await tx.execute(_KEEP, tenant, topic, key, version, deleted, kept, change)


async def copy_of(tx: Connection, topic: str, key: str) -> dict[str, object] | None:
    """Return the state last kept for a key of the present tenant; None if there is none."""
    state: str | None = await tx.fetchval(_STATE, topic, key)
    if state is None:
        return None
    copy: dict[str, object] = json.loads(state)
    return copy


async def copies_of(tx: Connection, topic: str) -> list[dict[str, object]]:
    """Return the states last kept for all keys of the present tenant."""
    rows = await tx.fetch(_STATES, topic)
    return [json.loads(row["state"]) for row in rows]


async def copy_age(tx: Connection, topic: str, key: str) -> timedelta | None:
    """Return how long ago the copy of a key last changed."""
    age: timedelta | None = await tx.fetchval(_AGE, topic, key)
    return age
