"""Claims of addresses: which attempt has which event."""

from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection
from services.policy.domain.claim import Claim

# More than a claim adds, so that what is forgettable shrinks with every claim.
_MOST_FORGOTTEN = 100
_ADD = """
INSERT INTO contact_claim (tenant_id, caused_by, subject_ref, claimed_by, expires, acknowledged)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""
_FORGET = """
DELETE FROM contact_claim WHERE tenant_id = $1 AND caused_by = ANY (ARRAY(
    SELECT caused_by FROM contact_claim WHERE tenant_id = $1 AND expires < $2
    ORDER BY expires LIMIT $3 FOR UPDATE SKIP LOCKED))
"""


async def add_claim(tx: Connection, tenant: UUID, claim: Claim) -> None:
    """Store a claim, unless its event has one; waits for another one that is being stored."""
    await tx.execute(
        _ADD,
        tenant,
        claim.caused_by,
        claim.subject_ref,
        claim.claimed_by,
        claim.expires,
        claim.acknowledged,
    )


async def lock_claim(tx: Connection, tenant: UUID, caused_by: UUID) -> Claim | None:
    """Return the claim of an event as it is now, until the transaction ends."""
    row = await tx.fetchrow(
        "SELECT caused_by, subject_ref, claimed_by, expires, acknowledged FROM contact_claim"
        " WHERE tenant_id = $1 AND caused_by = $2 FOR UPDATE",
        tenant,
        caused_by,
    )
    return Claim(**dict(row)) if row is not None else None


async def save_acknowledged(tx: Connection, tenant: UUID, caused_by: UUID) -> None:
    """Store that a locked claim is answered no more."""
    await tx.execute(
        "UPDATE contact_claim SET acknowledged = true WHERE tenant_id = $1 AND caused_by = $2",
        tenant,
        caused_by,
    )


async def forget_claims(tx: Connection, tenant: UUID, *, before: datetime) -> None:
    """Delete some of the tenant's claims that expired before this time."""
    await tx.execute(_FORGET, tenant, before, _MOST_FORGOTTEN)
