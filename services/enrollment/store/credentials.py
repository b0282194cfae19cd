"""Credentials that wait to be claimed."""

from dataclasses import dataclass, field
from uuid import UUID

from contracts.vocabulary import Algorithm, Factor
from libs.postgres.pool import Connection
from services.enrollment.domain.authenticator import Status


@dataclass(frozen=True)
class StoredCredential:
    """A credential; `sealed` is None when it was erased."""

    authenticator_id: UUID
    subject_ref: UUID
    factor: Factor
    epoch: int
    algorithm: Algorithm | None
    digits: int | None
    period: int | None
    last_step: int
    status: Status
    claimed_by: UUID | None
    sealed: bytes | None = field(repr=False)


async def lock_credential(tx: Connection, authenticator_id: UUID) -> StoredCredential | None:
    """Return a credential as it is now, until the transaction ends."""
    row = await tx.fetchrow(
        "SELECT * FROM authenticator WHERE id = $1 FOR UPDATE", authenticator_id
    )
    if row is None:
        return None
    return StoredCredential(
        authenticator_id=row["id"],
        subject_ref=row["subject_ref"],
        factor=Factor(row["factor"]),
        epoch=row["epoch"],
        algorithm=Algorithm(row["algorithm"]) if row["algorithm"] is not None else None,
        digits=row["digits"],
        period=row["period"],
        last_step=row["last_step"],
        status=Status(row["status"]),
        claimed_by=row["claimed_by"],
        sealed=row["sealed"],
    )


async def save_claim(tx: Connection, authenticator_id: UUID, attempt: UUID) -> None:
    """Store which attempt owns the credential."""
    await tx.execute(
        "UPDATE authenticator SET claimed_by = $2 WHERE id = $1", authenticator_id, attempt
    )


async def erase_secret(tx: Connection, authenticator_id: UUID) -> None:
    """Erase our copy of the secret."""
    await tx.execute("UPDATE authenticator SET sealed = NULL WHERE id = $1", authenticator_id)


async def sealed_of_factor(
    tx: Connection, subject_ref: UUID, factor: Factor
) -> list[tuple[UUID, bytes]]:
    """Return ids and secrets of a subject's active authenticators that are still kept here."""
    rows = await tx.fetch(
        "SELECT id, sealed FROM authenticator WHERE subject_ref = $1 AND factor = $2"
        " AND status = 'active' AND sealed IS NOT NULL ORDER BY id",
        subject_ref,
        factor,
    )
    return [(row["id"], row["sealed"]) for row in rows]
