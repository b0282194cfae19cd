"""Which messages a consumer has handled, recorded in the transaction of their effect."""

from datetime import timedelta
from uuid import UUID

from libs.postgres.pool import Connection, Pool

_FIRST_TIME = """
INSERT INTO inbox (consumer, message, tenant_id) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true
"""
_FORGET = """
DELETE FROM inbox WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM inbox WHERE handled_at < clock_timestamp() - $1::interval LIMIT 10000))
"""


async def first_time(
    tx: Connection, *, consumer: str, message: str, tenant_id: UUID | None
) -> bool:
    """Record `message` as handled; False if it already was, also by a transaction now running."""
    return bool(await tx.fetchval(_FIRST_TIME, consumer, message, tenant_id))


async def forget_handled(pool: Pool, *, older_than: timedelta) -> int:
    """Delete old entries in bounded steps and return their number.

    A topic that is replayed from further back than `older_than` has its effects twice, so this is
    longer than the retention of every topic that the service consumes.
    """
    forgotten = 0
    while True:
        status = await pool.execute(_FORGET, older_than)
        deleted = int(status.rpartition(" ")[2])
        forgotten += deleted
        if deleted < 10_000:
            return forgotten
