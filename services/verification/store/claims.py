"""Claims that wait to be made, outside the partition: one slow owner delays nobody."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from libs.ids import new_id
from libs.postgres.pool import Connection, Pool

# Longer than a claim can take: a row that is due again belongs to a process that died.
_TAKEN_FOR = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(minutes=1)


class Kind(StrEnum):
    """What is to be claimed or said."""

    CREDENTIAL = "credential"
    ACKNOWLEDGEMENT = "acknowledgement"
    NAME = "name"


@dataclass(frozen=True)
class Claim:
    """One claim; `claim_id` is the attempt that the owner remembers."""

    tenant: UUID
    claim_id: UUID
    kind: Kind
    subject_ref: UUID
    authenticator_id: UUID | None
    traceparent: str | None
    tries: int

    @property
    def known_authenticator(self) -> UUID:
        """Return the authenticator; raises ValueError where the claim is for a name."""
        if self.authenticator_id is None:
            raise ValueError("a claim for a name has no authenticator")
        return self.authenticator_id


async def want_credential(
    tx: Connection, *, tenant: UUID, subject: UUID, authenticator_id: UUID, traceparent: str | None
) -> None:
    """Note that a credential is to be claimed, unless it is here or wanted already."""
    await tx.execute(
        "INSERT INTO pending_claim"
        " (tenant_id, id, kind, subject_ref, authenticator_id, traceparent)"
        " SELECT $1, $2, 'credential', $3, $4, $5"
        " WHERE NOT EXISTS (SELECT 1 FROM authenticator WHERE tenant_id = $1 AND id = $4)"
        " ON CONFLICT DO NOTHING",
        tenant,
        new_id(),
        subject,
        authenticator_id,
        traceparent,
    )


async def want_name(
    tx: Connection, *, tenant: UUID, subject: UUID, traceparent: str | None
) -> None:
    """Note that policy is to be asked what applications call this subject."""
    await tx.execute(
        "INSERT INTO pending_claim (tenant_id, id, kind, subject_ref, traceparent)"
        " VALUES ($1, $2, 'name', $3, $4) ON CONFLICT DO NOTHING",
        tenant,
        new_id(),
        subject,
        traceparent,
    )


async def take_due(pool: Pool, *, most: int) -> list[Claim]:
    """Take claims that are due, of all tenants, for a while (the worker's role)."""
    rows = await pool.fetch(
        "UPDATE pending_claim p SET due = now() + $2, tries = tries + 1 FROM ("
        " SELECT tenant_id, id FROM pending_claim WHERE due <= now() ORDER BY due LIMIT $1"
        " FOR UPDATE SKIP LOCKED) d WHERE p.tenant_id = d.tenant_id AND p.id = d.id"
        " RETURNING p.*",
        most,
        _TAKEN_FOR,
    )
    return [
        Claim(
            tenant=row["tenant_id"],
            claim_id=row["id"],
            kind=Kind(row["kind"]),
            subject_ref=row["subject_ref"],
            authenticator_id=row["authenticator_id"],
            traceparent=row["traceparent"],
            tries=row["tries"],
        )
        for row in rows
    ]


async def try_later(pool: Pool, claim: Claim) -> None:
    """Let a claim wait before it is tried again, longer each time (the worker's role)."""
    wait = min(_LONGEST_WAIT, timedelta(milliseconds=200 * 2 ** min(claim.tries, 10)))
    await pool.execute(
        "UPDATE pending_claim SET due = now() + $3 WHERE tenant_id = $1 AND id = $2",
        claim.tenant,
        claim.claim_id,
        wait,
    )


async def acknowledge_next(tx: Connection, claim: Claim) -> None:
    """Turn a claim that was fulfilled into the acknowledgement that is owed for it."""
    await tx.execute(
        "UPDATE pending_claim SET kind = 'acknowledgement', due = now(), tries = 0 WHERE id = $1",
        claim.claim_id,
    )


async def drop(tx: Connection, subject: UUID, authenticator_id: UUID) -> None:
    """Want a credential no more."""
    await tx.execute(
        "DELETE FROM pending_claim WHERE subject_ref = $1 AND authenticator_id = $2",
        subject,
        authenticator_id,
    )


async def done(tx: Connection, claim: Claim) -> None:
    """Forget a claim that needs nothing more."""
    await tx.execute("DELETE FROM pending_claim WHERE id = $1", claim.claim_id)
