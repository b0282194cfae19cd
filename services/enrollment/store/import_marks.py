"""What an open import has come across: digests, gone when it is over; and its report's end."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from libs.postgres.pool import Connection
from services.enrollment.domain.import_decisions import Mark

_ADD = """
INSERT INTO import_mark (tenant_id, import_id, digest, number, content)
SELECT $1, $2, digest, number, content
FROM unnest($3::bytea[], $4::int[], $5::bytea[]) AS g (digest, number, content) ORDER BY digest
ON CONFLICT (tenant_id, import_id, digest) DO UPDATE SET number = excluded.number
"""
# In bounded steps, since statements of this pool may not take long.
_SWEEP = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table} WHERE tenant_id = $1 AND import_id = $2 LIMIT 10000))
"""


async def load_marks(
    tx: Connection, tenant: UUID, import_id: UUID, digests: Sequence[bytes]
) -> dict[bytes, Mark]:
    """Return which of these the import has come across."""
    rows = await tx.fetch(
        "SELECT digest, number, content FROM import_mark"
        " WHERE tenant_id = $1 AND import_id = $2 AND digest = ANY ($3)",
        *(tenant, import_id, digests),
    )
    return {row["digest"]: Mark(row["number"], row["content"]) for row in rows}


async def add_marks(
    tx: Connection, tenant: UUID, import_id: UUID, marks: Mapping[bytes, Mark]
) -> None:
    """Keep marks; of what is marked only the number changes."""
    await tx.execute(
        _ADD,
        *(tenant, import_id, list(marks)),
        [mark.number for mark in marks.values()],
        [mark.content for mark in marks.values()],
    )


async def sweep_marks(tx: Connection, tenant: UUID, import_id: UUID) -> int:
    """Delete some marks of an import; returns how many."""
    status = await tx.execute(_SWEEP.format(table="import_mark"), tenant, import_id)
    return int(status.rpartition(" ")[2])


async def forget_rows(tx: Connection, tenant: UUID, import_id: UUID) -> int:
    """Delete some of an import's report; returns how many."""
    status = await tx.execute(_SWEEP.format(table="import_row"), tenant, import_id)
    return int(status.rpartition(" ")[2])


async def forget_import(tx: Connection, tenant: UUID, import_id: UUID) -> None:
    """Delete an import with what is left of it."""
    await tx.execute(
        "DELETE FROM authenticator_import WHERE tenant_id = $1 AND import_id = $2",
        *(tenant, import_id),
    )
