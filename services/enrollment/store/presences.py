"""Proofs of presence that were taken, so that none is good twice."""

from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection


async def take_once(tx: Connection, tenant: UUID, presence_id: UUID, *, expires: datetime) -> bool:
    """Take a proof of presence; False where it was taken before."""
    taken = await tx.fetchval(
        "INSERT INTO presence (tenant_id, id, expires) VALUES ($1, $2, $3)"
        " ON CONFLICT DO NOTHING RETURNING true",
        tenant,
        presence_id,
        expires,
    )
    return bool(taken)
