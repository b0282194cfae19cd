"""The keys that sign receipts: the deployment's, inside the wall of no tenant."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.postgres.pool import Connection
from libs.sealing.data_keys import DEPLOYMENT


@dataclass(frozen=True)
class StoredKey:
    """A key pair as it is kept: the private key is sealed. `replace_at` asks for the next one."""

    key_id: str
    sealed: bytes
    signs_from: datetime
    replace_at: datetime


async def all_keys(tx: Connection) -> list[StoredKey]:
    """Return the keys that are still published, in the order in which they sign."""
    rows = await tx.fetch(
        "SELECT key_id, sealed, signs_from, replace_at FROM receipt_key ORDER BY signs_from"
    )
    return [StoredKey(*row) for row in rows]


async def lock_keys(tx: Connection) -> None:
    """Let nobody else change the keys until the transaction ends."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('receipt_key'))")


async def add_key(tx: Connection, key: StoredKey) -> None:
    """Publish a key."""
    await tx.execute(
        "INSERT INTO receipt_key (tenant_id, key_id, sealed, signs_from, replace_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        DEPLOYMENT,
        key.key_id,
        key.sealed,
        key.signs_from,
        key.replace_at,
    )


async def drop_replaced(tx: Connection, *, now: datetime, kept: timedelta) -> None:
    """Forget the keys that have not signed for longer than `kept`."""
    await tx.execute(
        "DELETE FROM receipt_key k WHERE EXISTS (SELECT 1 FROM receipt_key n"
        " WHERE n.signs_from > k.signs_from AND n.signs_from <= $1)",
        now - kept,
    )
