"""Resets, and how far they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection
from services.recovery.domain.reset import Progress, ResetStatus


@dataclass(frozen=True)
class StoredReset:
    """A reset as it is stored."""

    reset_id: UUID
    subject_ref: UUID
    status: ResetStatus
    progress: Progress
    requested_at: datetime
    completed_at: datetime | None


async def add(
    tx: Connection, *, tenant: UUID, reset_id: UUID, subject: UUID, now: datetime
) -> None:
    """Store a new reset."""
    await tx.execute(
        "INSERT INTO reset (tenant_id, id, subject_ref, status, requested_at)"
        " VALUES ($1, $2, $3, 'requested', $4)",
        tenant,
        reset_id,
        subject,
        now,
    )


async def find(tx: Connection, reset_id: UUID) -> StoredReset | None:
    """Return a reset."""
    return await _one(tx, reset_id, lock="")


async def lock(tx: Connection, reset_id: UUID) -> StoredReset | None:
    """Return a reset, locked."""
    return await _one(tx, reset_id, lock=" FOR UPDATE OF r")


async def requested_since(tx: Connection, subject: UUID, since: datetime) -> bool:
    """Tell whether a reset of the subject was requested at that time or later."""
    found = await tx.fetchval(
        "SELECT EXISTS (SELECT 1 FROM reset WHERE subject_ref = $1 AND requested_at >= $2)",
        subject,
        since,
    )
    return bool(found)


async def lock_open_of(tx: Connection, subject: UUID) -> Sequence[UUID]:
    """Return the resets of a subject that are not complete, in order, locked."""
    rows = await tx.fetch(
        "SELECT id FROM reset WHERE subject_ref = $1 AND status = 'requested' ORDER BY id"
        " FOR UPDATE",
        subject,
    )
    return [row["id"] for row in rows]


async def save_removed(tx: Connection, reset_id: UUID, removed: Sequence[UUID]) -> None:
    """Note what enrollment removed."""
    await tx.execute("UPDATE reset SET removed = $2 WHERE id = $1", reset_id, list(removed))


async def save_forgotten(tx: Connection, *, tenant: UUID, authenticator_id: UUID) -> None:
    """Note what verification forgot: for good, since a reset may begin after it and wait for it."""
    await tx.execute(
        "INSERT INTO forgotten (tenant_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        tenant,
        authenticator_id,
    )


async def complete(tx: Connection, reset_id: UUID, now: datetime) -> None:
    """Close a reset."""
    await tx.execute(
        "UPDATE reset SET status = 'completed', completed_at = $2 WHERE id = $1", reset_id, now
    )


async def _one(tx: Connection, reset_id: UUID, *, lock: str) -> StoredReset | None:
    row = await tx.fetchrow(
        "SELECT r.id, r.subject_ref, r.status, r.removed, r.requested_at, r.completed_at,"  # noqa: S608
        " ARRAY(SELECT f.id FROM forgotten f WHERE f.tenant_id = r.tenant_id"
        f" AND f.id = ANY(r.removed)) AS forgotten FROM reset r WHERE r.id = $1{lock}",
        reset_id,
    )
    if row is None:
        return None
    return StoredReset(
        reset_id=row["id"],
        subject_ref=row["subject_ref"],
        status=ResetStatus(row["status"]),
        progress=Progress(removed=row["removed"], forgotten=row["forgotten"]),
        requested_at=row["requested_at"],
        completed_at=row["completed_at"],
    )
