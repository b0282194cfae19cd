"""Imports: what was received, how far they are, and what became of their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from libs.postgres.pool import Connection, Pool
from services.policy.domain.imports import Counts, Part, RowOutcome, State, SubjectImport
from services.policy.domain.subject_rows import Format

_COLUMNS = (
    "import_id, format, dry_run, author, created, touched, expected, file_digest, state, columns,"
    " parts, bytes, received, created_rows, updated_rows, unchanged_rows, refused_rows"
)
_SAVE = """
UPDATE subject_import SET state = $3, columns = $4, parts = $5, bytes = $6, received = $7,
    worked = $8, created_rows = $9, updated_rows = $10, unchanged_rows = $11, refused_rows = $12,
    touched = $13
WHERE tenant_id = $1 AND import_id = $2
"""
_OPEN = "state IN ('receiving', 'running')"


@dataclass(frozen=True)
class RowReport:
    """What became of one row."""

    number: int
    outcome: RowOutcome
    subject_ref: UUID | None
    errors: tuple[str, ...]


async def add_import(tx: Connection, tenant: UUID, made: SubjectImport) -> None:
    await tx.execute(
        "INSERT INTO subject_import (tenant_id, import_id, format, dry_run, file_digest, expected,"
        " author, state, created, touched) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        tenant,
        made.import_id,
        made.format.value,
        made.dry_run,
        made.file_digest,
        made.expected,
        made.author,
        made.state.value,
        made.created,
    )


async def find_open_import(tx: Connection, tenant: UUID, like: SubjectImport) -> UUID | None:
    """Return the open import of the same file, format and earnest, if there is one."""
    found: UUID | None = await tx.fetchval(
        f"SELECT import_id FROM subject_import WHERE tenant_id = $1 AND file_digest = $2"  # noqa: S608 - constants
        f" AND format = $3 AND dry_run = $4 AND {_OPEN}",
        tenant,
        like.file_digest,
        like.format.value,
        like.dry_run,
    )
    return found


async def count_open_imports(tx: Connection, tenant: UUID) -> int:
    query = f"SELECT count(*) FROM subject_import WHERE tenant_id = $1 AND {_OPEN}"  # noqa: S608
    count: int = await tx.fetchval(query, tenant)
    return count


async def load_import(tx: Connection, tenant: UUID, import_id: UUID) -> SubjectImport | None:
    return await _fetch(tx, tenant, import_id, locking="")


async def lock_import(tx: Connection, tenant: UUID, import_id: UUID) -> SubjectImport | None:
    """Lock an import, after waiting for whoever has it.

    Erasing a subject refers to imports (import_mark), which this lock lets pass.
    """
    return await _fetch(tx, tenant, import_id, locking="FOR NO KEY UPDATE")


async def take_import(tx: Connection, tenant: UUID, import_id: UUID) -> SubjectImport | None:
    """Lock an import unless somebody has it."""
    return await _fetch(tx, tenant, import_id, locking="FOR NO KEY UPDATE SKIP LOCKED")


async def save_import(tx: Connection, tenant: UUID, found: SubjectImport) -> None:
    """Save a locked import."""
    counts = found.counts
    await tx.execute(
        _SAVE,
        *(tenant, found.import_id, found.state.value, list(found.columns)),
        *(found.parts, found.size, found.received, counts.worked),
        *(counts.created, counts.updated, counts.unchanged, counts.refused, found.touched),
    )


async def add_part(tx: Connection, tenant: UUID, import_id: UUID, part: Part) -> None:
    await tx.execute(
        "INSERT INTO import_part (tenant_id, import_id, number, first_row, last_row, digest,"
        " sealed) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *(tenant, import_id, part.number, part.first_row, part.last_row),
        *(part.digest, part.sealed),
    )


async def part_digest(tx: Connection, tenant: UUID, import_id: UUID, number: int) -> bytes | None:
    digest: bytes | None = await tx.fetchval(
        "SELECT digest FROM import_part WHERE tenant_id = $1 AND import_id = $2 AND number = $3",
        tenant,
        import_id,
        number,
    )
    return digest


async def part_with_row(tx: Connection, tenant: UUID, import_id: UUID, row: int) -> Part | None:
    """Return the part that has a row."""
    found = await tx.fetchrow(
        "SELECT number, first_row, last_row, digest, sealed FROM import_part"
        " WHERE tenant_id = $1 AND import_id = $2 AND first_row <= $3 AND last_row >= $3",
        tenant,
        import_id,
        row,
    )
    return Part(**found) if found is not None else None


async def erase_parts(tx: Connection, tenant: UUID, import_id: UUID, *, up_to_row: int) -> None:
    """Leave nothing of the parts whose rows are all worked through."""
    await tx.execute(
        "DELETE FROM import_part WHERE tenant_id = $1 AND import_id = $2 AND last_row <= $3",
        tenant,
        import_id,
        up_to_row,
    )


async def add_rows(
    tx: Connection, tenant: UUID, import_id: UUID, rows: Sequence[RowReport]
) -> None:
    """Keep what became of rows."""
    # No error has a line break in it, and unnest() flattens arrays of arrays.
    await tx.execute(
        "INSERT INTO import_row (tenant_id, import_id, number, outcome, subject_ref, errors)"
        " SELECT $1, $2, number, outcome, subject_ref, string_to_array(errors, E'\\n')"
        " FROM unnest($3::int[], $4::text[], $5::uuid[], $6::text[])"
        " AS g (number, outcome, subject_ref, errors)",
        tenant,
        import_id,
        [row.number for row in rows],
        [row.outcome.value for row in rows],
        [row.subject_ref for row in rows],
        ["\n".join(row.errors) for row in rows],
    )


async def list_rows(
    tx: Connection,
    tenant: UUID,
    import_id: UUID,
    *,
    outcome: RowOutcome | None,
    after: int,
    limit: int,
) -> list[RowReport]:
    """Return what became of the rows after this one."""
    rows = await tx.fetch(
        "SELECT number, outcome, subject_ref, errors FROM import_row WHERE tenant_id = $1"
        " AND import_id = $2 AND number > $3 AND ($4::text IS NULL OR outcome = $4)"
        " ORDER BY number LIMIT $5",
        *(tenant, import_id, after, outcome.value if outcome is not None else None, limit),
    )
    return [
        RowReport(
            row["number"], RowOutcome(row["outcome"]), row["subject_ref"], tuple(row["errors"])
        )
        for row in rows
    ]


async def running_imports(pool: Pool) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of the imports that have work to do (the worker's role)."""
    rows = await pool.fetch(
        "SELECT tenant_id, import_id FROM subject_import WHERE state = 'running' ORDER BY touched"
    )
    return [(row["tenant_id"], row["import_id"]) for row in rows]


async def _fetch(
    tx: Connection, tenant: UUID, import_id: UUID, *, locking: str
) -> SubjectImport | None:
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM subject_import"  # noqa: S608
        f" WHERE tenant_id = $1 AND import_id = $2 {locking}",
        tenant,
        import_id,
    )
    return _import(row) if row is not None else None


def _import(row: asyncpg.Record) -> SubjectImport:
    return SubjectImport(
        import_id=row["import_id"],
        format=Format(row["format"]),
        dry_run=row["dry_run"],
        author=row["author"],
        created=row["created"],
        touched=row["touched"],
        expected=row["expected"],
        file_digest=row["file_digest"],
        state=State(row["state"]),
        columns=tuple(row["columns"]),
        parts=row["parts"],
        size=row["bytes"],
        received=row["received"],
        counts=Counts(
            row["created_rows"], row["updated_rows"], row["unchanged_rows"], row["refused_rows"]
        ),
    )
