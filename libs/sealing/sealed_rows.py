"""Reads and changes the rows of a sealed column; the identifiers are the service's own words."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from libs.postgres.pool import Connection
from libs.sealing.sealed_columns import Change, SealedColumn

# Where the version of the key stands in a sealed value (libs/sealing/seal.py).
_BEHIND = "substr({column}, 2, 4) < $2"
# All rows of a large tenant may be looked at; nobody waits for it, and it ends before the lease.
_LONGEST_LOOK = 25.0


async def rows_behind(
    tx: Connection,
    tenant: UUID,
    column: SealedColumn,
    *,
    version: int,
    after: asyncpg.Record | None,
) -> list[asyncpg.Record]:
    """Return some rows that an older version has sealed, in order, behind one that was seen."""
    names = ", ".join(column.row)
    fields = ", ".join([*column.row, *column.about, f"{column.column} AS sealed_value"])
    seen = [] if after is None else [after[name] for name in column.row]
    places = ", ".join(f"${n}::{kind}" for n, kind in enumerate(column.row.values(), start=4))
    beyond = "" if after is None else f"AND ({names}) > ({places})"
    return await tx.fetch(
        f"SELECT {fields} FROM {column.table} WHERE tenant_id = $1"  # noqa: S608
        f" AND {_BEHIND.format(column=column.column)} {beyond} ORDER BY {names} LIMIT $3",
        tenant,
        _in_bytes(version),
        column.at_once,
        *seen,
        timeout=_LONGEST_LOOK,
    )


async def is_any_behind(
    tx: Connection, tenant: UUID, column: SealedColumn, *, version: int
) -> bool:
    """Tell whether a row is left that an older version has sealed."""
    behind = await tx.fetchval(
        f"SELECT EXISTS (SELECT FROM {column.table} WHERE tenant_id = $1"  # noqa: S608
        f" AND {_BEHIND.format(column=column.column)})",
        tenant,
        _in_bytes(version),
        timeout=_LONGEST_LOOK,
    )
    return bool(behind)


async def swap(
    tx: Connection, tenant: UUID, column: SealedColumn, changes: Sequence[Change]
) -> int:
    """Put new values in the place of old ones that are still there; returns how many.

    No lock is waited for, so that this stands in nobody's way: what is locked is found again.
    """
    names, count = ", ".join(column.row), len(column.row)
    kinds = [f"${n}::{kind}[]" for n, kind in enumerate(column.row.values(), start=2)]
    arrays = ", ".join([*kinds, f"${count + 2}::bytea[]", f"${count + 3}::bytea[]"])
    same = " AND ".join(f"t.{name} = c.{name}" for name in column.row)
    done = await tx.execute(
        f"WITH changed AS (SELECT * FROM unnest({arrays}) AS c ({names}, old, new)),"  # noqa: S608
        f" held AS MATERIALIZED (SELECT c.* FROM {column.table} t JOIN changed c ON {same}"
        f" WHERE t.tenant_id = $1 AND t.{column.column} = c.old"
        " FOR NO KEY UPDATE OF t SKIP LOCKED)"
        f" UPDATE {column.table} t SET {column.column} = c.new FROM held c"
        f" WHERE t.tenant_id = $1 AND {same} AND t.{column.column} = c.old",
        tenant,
        *([change.row[name] for change in changes] for name in column.row),
        [change.old for change in changes],
        [change.new for change in changes],
    )
    return int(done.split()[-1])


def _in_bytes(version: int) -> bytes:
    return version.to_bytes(4, "big")
