"""Enrollments that may go on on another device."""

from uuid import UUID

import asyncpg

from libs.postgres.pool import Connection
from services.enrollment.domain.handover import Handover


async def save_handover(tx: Connection, tenant: UUID, made: Handover) -> None:
    """Store a handover of a locked subject's enrollment; what was handed out before is void."""
    await tx.execute(
        "INSERT INTO handover (tenant_id, enrollment_id, subject_ref, link_digest, code_digest,"
        " tries_left, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (tenant_id, enrollment_id) DO UPDATE SET link_digest = excluded.link_digest,"
        " code_digest = excluded.code_digest, tries_left = excluded.tries_left,"
        " expires = excluded.expires",
        tenant,
        made.enrollment_id,
        made.subject_ref,
        made.link_digest,
        made.code_digest,
        made.tries_left,
        made.expires,
    )


async def find_by_link(tx: Connection, link_digest: bytes) -> Handover | None:
    """Return the handover that has this link."""
    row = await tx.fetchrow("SELECT * FROM handover WHERE link_digest = $1", link_digest)
    return _handover(row) if row is not None else None


async def lock_handovers(tx: Connection, subject_ref: UUID, application_id: UUID) -> list[Handover]:
    """Return the handovers of a locked subject that this application made, in the order of ids."""
    rows = await tx.fetch(
        "SELECT h.* FROM handover h JOIN enrollment e"
        " ON e.tenant_id = h.tenant_id AND e.id = h.enrollment_id"
        " WHERE h.subject_ref = $1 AND e.application_id = $2 ORDER BY h.enrollment_id"
        " FOR UPDATE OF h",
        subject_ref,
        application_id,
    )
    return [_handover(row) for row in rows]


async def save_tries(tx: Connection, handover: Handover) -> None:
    """Store how many tries are left."""
    await tx.execute(
        "UPDATE handover SET tries_left = $2 WHERE enrollment_id = $1",
        handover.enrollment_id,
        handover.tries_left,
    )


async def drop_handover(tx: Connection, enrollment_id: UUID) -> None:
    """Forget a handover that was taken."""
    await tx.execute("DELETE FROM handover WHERE enrollment_id = $1", enrollment_id)


def _handover(row: asyncpg.Record) -> Handover:
    return Handover(
        enrollment_id=row["enrollment_id"],
        subject_ref=row["subject_ref"],
        link_digest=row["link_digest"],
        code_digest=row["code_digest"],
        tries_left=row["tries_left"],
        expires=row["expires"],
    )
