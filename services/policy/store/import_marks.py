"""Whom and which labels an open import has come across: digests, gone when it is over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection, Pool

_ADD = """
INSERT INTO import_mark (tenant_id, import_id, digest, number, owner)
SELECT $1, $2, digest, number, owner
FROM unnest($3::bytea[], $4::int[], $5::uuid[]) AS g (digest, number, owner) ORDER BY digest
ON CONFLICT (tenant_id, import_id, digest) DO UPDATE
SET owner = excluded.owner WHERE import_mark.number > 0
"""
# In bounded steps, since statements of this pool may not take long.
_SWEEP = """
DELETE FROM import_mark WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM import_mark WHERE tenant_id = $1 AND import_id = $2 LIMIT 10000))
"""


@dataclass(frozen=True)
class Mark:
    """The row that first named something; of a label also who would have it, if anybody."""

    number: int
    owner: UUID | None = None


async def load_marks(
    tx: Connection, tenant: UUID, import_id: UUID, digests: Sequence[bytes]
) -> dict[bytes, Mark]:
    """Return which of these the import has come across."""
    rows = await tx.fetch(
        "SELECT digest, number, owner FROM import_mark"
        " WHERE tenant_id = $1 AND import_id = $2 AND digest = ANY ($3)",
        tenant,
        import_id,
        digests,
    )
    return {row["digest"]: Mark(row["number"], row["owner"]) for row in rows}


async def add_marks(
    tx: Connection, tenant: UUID, import_id: UUID, marks: Mapping[bytes, Mark]
) -> None:
    """Keep marks; of what is marked only the owner changes."""
    await tx.execute(
        _ADD,
        tenant,
        import_id,
        list(marks),
        [mark.number for mark in marks.values()],
        [mark.owner for mark in marks.values()],
    )


async def closed_imports_with_marks(pool: Pool, *, since: datetime) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of imports that ended since then (the worker's role)."""
    rows = await pool.fetch(
        "SELECT tenant_id, import_id FROM subject_import"
        " WHERE state IN ('finished', 'cancelled') AND touched > $1",
        since,
    )
    return [(row["tenant_id"], row["import_id"]) for row in rows]


async def sweep_marks(tx: Connection, tenant: UUID, import_id: UUID) -> int:
    """Delete some marks of an import; returns how many."""
    status = await tx.execute(_SWEEP, tenant, import_id)
    return int(status.rpartition(" ")[2])
