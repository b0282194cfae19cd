"""What is found by address, what has no digest of its address yet, what can be forgotten."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection, Pool
from services.policy.store.subjects import SUBJECT_COLUMNS, StoredSubject, stored_subject

# Whoever changed the subject meanwhile has written the digest, too.
_DIGEST = """
UPDATE subject AS s SET email_digest = g.email_digest, digested = g.version
FROM unnest($2::uuid[], $3::bigint[], $4::bytea[]) AS g (subject_ref, version, email_digest)
WHERE s.tenant_id = $1 AND s.subject_ref = g.subject_ref AND s.version = g.version
"""
# Not `IN (SELECT ... LIMIT ...)`: a join runs that again for each row, so that it limits nothing.
# An earlier release erases a subject without what it does not know.
_FINISH_ERASING = """
UPDATE subject SET email_digest = NULL, digested = version, deleted_at = coalesce(deleted_at, $2)
WHERE tenant_id = $1 AND subject_ref = ANY (ARRAY(
    SELECT subject_ref FROM subject WHERE tenant_id = $1 AND deleted AND digested < version
    ORDER BY subject_ref LIMIT $3 FOR UPDATE))
"""
_BURY = """
UPDATE subject SET buried = true WHERE tenant_id = $1 AND subject_ref = ANY (ARRAY(
    SELECT subject_ref FROM subject
    WHERE tenant_id = $1 AND deleted AND NOT buried AND deleted_at <= $2
    ORDER BY subject_ref LIMIT $3 FOR UPDATE))
RETURNING subject_ref
"""
_FORGET_ROWS = """
DELETE FROM import_row WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM import_row WHERE tenant_id = $1 AND import_id = $2 LIMIT 10000))
"""


async def subjects_of_address(
    tx: Connection, tenant: UUID, email_digest: bytes, *, limit: int
) -> list[StoredSubject]:
    """Return the subjects with an address, in the order in which they were made."""
    rows = await tx.fetch(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608 - constants
        " WHERE tenant_id = $1 AND email_digest = $2 AND NOT deleted"
        " ORDER BY subject_ref LIMIT $3",
        tenant,
        email_digest,
        limit,
    )
    return [stored_subject(row) for row in rows]


async def undigested(tx: Connection, tenant: UUID, *, limit: int) -> list[StoredSubject]:
    """Return subjects whose digest is not of their present version."""
    rows = await tx.fetch(
        f"SELECT {SUBJECT_COLUMNS} FROM subject"  # noqa: S608
        " WHERE tenant_id = $1 AND digested < version AND NOT deleted"
        " ORDER BY subject_ref LIMIT $2",
        tenant,
        limit,
    )
    return [stored_subject(row) for row in rows]


async def save_email_digests(
    tx: Connection, tenant: UUID, digests: Sequence[tuple[UUID, int, bytes | None]]
) -> None:
    """Save digests of subjects, each of one version of it."""
    refs, versions, values = zip(*digests, strict=True)
    await tx.execute(_DIGEST, tenant, list(refs), list(versions), list(values))


async def finish_erasing(tx: Connection, tenant: UUID, *, now: datetime, limit: int) -> int:
    """Take from some erased subjects what an earlier release has left; returns how many."""
    status = await tx.execute(_FINISH_ERASING, tenant, now, limit)
    return int(status.rpartition(" ")[2])


async def bury_subjects(
    tx: Connection, tenant: UUID, *, erased_before: datetime, limit: int
) -> list[UUID]:
    """Return erased subjects whose state can go from Kafka, once each."""
    rows = await tx.fetch(_BURY, tenant, erased_before, limit)
    return [row["subject_ref"] for row in rows]


async def forget_rows(tx: Connection, tenant: UUID, import_id: UUID) -> int:
    """Delete some of an import's report; returns how many."""
    status = await tx.execute(_FORGET_ROWS, tenant, import_id)
    return int(status.rpartition(" ")[2])


async def forget_import(tx: Connection, tenant: UUID, import_id: UUID) -> None:
    """Delete an import with what is left of it."""
    await tx.execute(
        "DELETE FROM subject_import WHERE tenant_id = $1 AND import_id = $2", tenant, import_id
    )


async def tenants_with_undigested(pool: Pool) -> list[UUID]:
    """Return whose subjects wait for their digests (the worker's role)."""
    rows = await pool.fetch("SELECT DISTINCT tenant_id FROM subject WHERE digested < version")
    return [row["tenant_id"] for row in rows]


async def tenants_with_unburied(pool: Pool, *, erased_before: datetime) -> list[UUID]:
    """Return whose erased subjects can go from Kafka (the worker's role)."""
    rows = await pool.fetch(
        "SELECT DISTINCT tenant_id FROM subject WHERE deleted AND NOT buried AND deleted_at <= $1",
        erased_before,
    )
    return [row["tenant_id"] for row in rows]


async def imports_untouched(
    pool: Pool, states: Sequence[str], *, since: datetime
) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of imports in one of these states for so long (the worker's role)."""
    rows = await pool.fetch(
        "SELECT tenant_id, import_id FROM subject_import WHERE state = ANY ($1) AND touched <= $2",
        states,
        since,
    )
    return [(row["tenant_id"], row["import_id"]) for row in rows]
