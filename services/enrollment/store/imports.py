"""Imports: what was received, how far they are, and what became of their rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from libs.postgres.pool import Connection, Pool
from services.enrollment.domain.imports import (
    AuthenticatorImport,
    Counts,
    Part,
    RowOutcome,
    State,
)

_SAVE = """
UPDATE authenticator_import SET state = $3, parts = $4, bytes = $5, received = $6,
    enrolled_rows = $7, stocked_rows = $8, unchanged_rows = $9, refused_rows = $10, touched = $11
WHERE tenant_id = $1 AND import_id = $2
"""
_OPEN = "state IN ('receiving', 'running')"


@dataclass(frozen=True)
class RowReport:
    """What became of one row."""

    number: int
    outcome: RowOutcome
    authenticator_id: UUID | None
    hardware_token_id: UUID | None
    errors: tuple[str, ...]


async def lock_beginning(tx: Connection, tenant: UUID) -> None:
    """Let two that begin an import at once be one after the other."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"import {tenant}")


async def add_import(tx: Connection, tenant: UUID, made: AuthenticatorImport) -> None:
    """Store an import that begins."""
    await tx.execute(
        "INSERT INTO authenticator_import (tenant_id, import_id, dry_run, file_digest, expected,"
        " application_id, author, state, created, touched)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        *(tenant, made.import_id, made.dry_run, made.file_digest, made.expected),
        *(made.application_id, made.author, made.state.value, made.created),
    )


async def find_open_import(tx: Connection, tenant: UUID, like: AuthenticatorImport) -> UUID | None:
    """Return the open import of the same file and earnest, if there is one."""
    found: UUID | None = await tx.fetchval(
        "SELECT import_id FROM authenticator_import WHERE tenant_id = $1 AND file_digest = $2"  # noqa: S608 - a constant
        f" AND dry_run = $3 AND {_OPEN}",
        *(tenant, like.file_digest, like.dry_run),
    )
    return found


async def count_open_imports(tx: Connection, tenant: UUID) -> int:
    """Return how many imports of a tenant are open."""
    query = f"SELECT count(*) FROM authenticator_import WHERE tenant_id = $1 AND {_OPEN}"  # noqa: S608 - a constant
    count: int = await tx.fetchval(query, tenant)
    return count


async def load_import(tx: Connection, tenant: UUID, import_id: UUID) -> AuthenticatorImport | None:
    """Return an import as it is now."""
    return await _fetch(tx, tenant, import_id, locking="")


async def lock_import(tx: Connection, tenant: UUID, import_id: UUID) -> AuthenticatorImport | None:
    """Lock an import, after waiting for whoever has it."""
    return await _fetch(tx, tenant, import_id, locking="FOR NO KEY UPDATE")


async def take_import(tx: Connection, tenant: UUID, import_id: UUID) -> AuthenticatorImport | None:
    """Lock an import unless somebody has it."""
    return await _fetch(tx, tenant, import_id, locking="FOR NO KEY UPDATE SKIP LOCKED")


async def save_import(tx: Connection, tenant: UUID, found: AuthenticatorImport) -> None:
    """Save a locked import."""
    counts = found.counts
    await tx.execute(
        _SAVE,
        *(tenant, found.import_id, found.state.value, found.parts, found.size, found.received),
        *(counts.enrolled, counts.stocked, counts.unchanged, counts.refused, found.touched),
    )


async def add_part(tx: Connection, tenant: UUID, import_id: UUID, part: Part) -> None:
    """Keep rows that wait."""
    await tx.execute(
        "INSERT INTO import_part (tenant_id, import_id, number, first_row, last_row, digest,"
        " sealed) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *(tenant, import_id, part.number, part.first_row, part.last_row),
        *(part.digest, part.sealed),
    )


async def part_digest(tx: Connection, tenant: UUID, import_id: UUID, number: int) -> bytes | None:
    """Return by what a part is known again."""
    digest: bytes | None = await tx.fetchval(
        "SELECT digest FROM import_part WHERE tenant_id = $1 AND import_id = $2 AND number = $3",
        *(tenant, import_id, number),
    )
    return digest


async def part_with_row(tx: Connection, tenant: UUID, import_id: UUID, row: int) -> Part | None:
    """Return the part that has a row."""
    found = await tx.fetchrow(
        "SELECT number, first_row, last_row, digest, sealed FROM import_part"
        " WHERE tenant_id = $1 AND import_id = $2 AND first_row <= $3 AND last_row >= $3",
        *(tenant, import_id, row),
    )
    return Part(**found) if found is not None else None


async def erase_parts(tx: Connection, tenant: UUID, import_id: UUID, *, up_to_row: int) -> None:
    """Leave nothing of the parts whose rows are all worked through."""
    await tx.execute(
        "DELETE FROM import_part WHERE tenant_id = $1 AND import_id = $2 AND last_row <= $3",
        *(tenant, import_id, up_to_row),
    )


async def add_rows(
    tx: Connection, tenant: UUID, import_id: UUID, rows: Sequence[RowReport]
) -> None:
    """Keep what became of rows."""
    # No error has a line break in it, and unnest() flattens arrays of arrays.
    await tx.execute(
        "INSERT INTO import_row (tenant_id, import_id, number, outcome, authenticator_id,"
        " hardware_token_id, errors)"
        " SELECT $1, $2, number, outcome, authenticator, token, string_to_array(errors, E'\\n')"
        " FROM unnest($3::int[], $4::text[], $5::uuid[], $6::uuid[], $7::text[])"
        " AS g (number, outcome, authenticator, token, errors)",
        *(tenant, import_id),
        [row.number for row in rows],
        [row.outcome.value for row in rows],
        [row.authenticator_id for row in rows],
        [row.hardware_token_id for row in rows],
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
        "SELECT number, outcome, authenticator_id, hardware_token_id, errors FROM import_row"
        " WHERE tenant_id = $1 AND import_id = $2 AND number > $3"
        " AND ($4::text IS NULL OR outcome = $4) ORDER BY number LIMIT $5",
        *(tenant, import_id, after, outcome.value if outcome is not None else None, limit),
    )
    return [
        RowReport(
            number=row["number"],
            outcome=RowOutcome(row["outcome"]),
            authenticator_id=row["authenticator_id"],
            hardware_token_id=row["hardware_token_id"],
            errors=tuple(row["errors"]),
        )
        for row in rows
    ]


async def running_imports(pool: Pool) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of the imports that have work to do (the worker's role)."""
    rows = await pool.fetch(
        "SELECT tenant_id, import_id FROM authenticator_import WHERE state = 'running'"
        " ORDER BY touched"
    )
    return [(row["tenant_id"], row["import_id"]) for row in rows]


async def imports_untouched(
    pool: Pool, states: Sequence[State], *, since: datetime
) -> list[tuple[UUID, UUID]]:
    """Return tenant and id of imports in one of these states for so long (the worker's role)."""
    rows = await pool.fetch(
        "SELECT tenant_id, import_id FROM authenticator_import"
        " WHERE state = ANY ($1) AND touched <= $2",
        [state.value for state in states],
        since,
    )
    return [(row["tenant_id"], row["import_id"]) for row in rows]


async def _fetch(
    tx: Connection, tenant: UUID, import_id: UUID, *, locking: str
) -> AuthenticatorImport | None:
    row = await tx.fetchrow(
        "SELECT * FROM authenticator_import"  # noqa: S608 - constants
        f" WHERE tenant_id = $1 AND import_id = $2 {locking}",
        *(tenant, import_id),
    )
    return _import(row) if row is not None else None


def _import(row: asyncpg.Record) -> AuthenticatorImport:
    return AuthenticatorImport(
        import_id=row["import_id"],
        dry_run=row["dry_run"],
        application_id=row["application_id"],
        author=row["author"],
        created=row["created"],
        touched=row["touched"],
        expected=row["expected"],
        file_digest=row["file_digest"],
        state=State(row["state"]),
        parts=row["parts"],
        size=row["bytes"],
        received=row["received"],
        counts=Counts(
            *(row["enrolled_rows"], row["stocked_rows"]),
            *(row["unchanged_rows"], row["refused_rows"]),
        ),
    )
