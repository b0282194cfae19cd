"""How far rotations are, in PostgreSQL: whoever takes one holds it until it is due again."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from libs.postgres.pool import Connection, Pool
from libs.sealing.sealed_columns import Sealed


class Kind(StrEnum):
    """What is replaced: the wrapping of data keys, or the data keys themselves."""

    WRAPPING = "wrapping"
    DATA = "data"


class State(StrEnum):
    """The steps of a rotation; one of the wrapping is asked for and done."""

    ASKED = "asked"
    ADOPTING = "adopting"
    SWEEPING = "sweeping"
    RETIRED = "retired"
    DONE = "done"


@dataclass(frozen=True)
class Task:
    """A rotation that this process has taken; another one that takes it raises `epoch`."""

    tenant: UUID
    purpose: str
    kind: Kind
    state: State
    epoch: int
    version: int | None


class OvertakenError(Exception):
    """Another process has taken the rotation meanwhile."""


_TAKE = """
UPDATE key_rotation r SET epoch = r.epoch + 1, due = now() + $1
FROM (SELECT tenant_id, purpose, kind FROM key_rotation WHERE state <> 'done' AND due <= now()
    ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED) AS next
WHERE r.tenant_id = next.tenant_id AND r.purpose = next.purpose AND r.kind = next.kind
RETURNING r.tenant_id, r.purpose, r.kind, r.state, r.epoch, r.version
"""
_HOLD = """
SELECT true FROM key_rotation
WHERE tenant_id = $1 AND purpose = $2 AND kind = $3 AND epoch = $4 FOR UPDATE
"""
_RENEW = """
UPDATE key_rotation SET due = now() + $5, resealed = resealed + $6, trouble = NULL
WHERE tenant_id = $1 AND purpose = $2 AND kind = $3 AND epoch = $4 RETURNING true
"""
_GO_ON = """
UPDATE key_rotation SET state = $5, due = now() + $6, trouble = NULL,
    version = coalesce($7, version)
WHERE tenant_id = $1 AND purpose = $2 AND kind = $3 AND epoch = $4 RETURNING true
"""
_WAIT = """
UPDATE key_rotation SET due = now() + $5, trouble = $6
WHERE tenant_id = $1 AND purpose = $2 AND kind = $3 AND epoch = $4
"""


async def publish(pool: Pool, sealed: Sealed) -> None:
    """Say for operators what this release seals (the worker's role)."""
    rows = [(one, [c.name for c in sealed.of(one)], None) for one in sealed.purposes]
    kept: list[tuple[str, list[str], str]] = [(one.purpose, [], one.why) for one in sealed.kept]
    async with pool.acquire() as connection, connection.transaction():
        await connection.executemany(
            "INSERT INTO key_purpose (purpose, columns, kept_because) VALUES ($1, $2, $3)"
            " ON CONFLICT (purpose) DO UPDATE SET columns = excluded.columns,"
            " kept_because = excluded.kept_because",
            [*rows, *kept],
        )


async def take_due(pool: Pool, *, lease: timedelta) -> Task | None:
    """Take a rotation that is due, of any tenant, for a while (the worker's role)."""
    row = await pool.fetchrow(_TAKE, lease)
    if row is None:
        return None
    return Task(
        tenant=row["tenant_id"],
        purpose=row["purpose"],
        kind=Kind(row["kind"]),
        state=State(row["state"]),
        epoch=row["epoch"],
        version=row["version"],
    )


async def hold(tx: Connection, task: Task) -> None:
    """Lock a taken rotation until the transaction ends; raises OvertakenError."""
    if not await tx.fetchval(_HOLD, *_key(task)):
        raise OvertakenError


async def renew(pool: Pool, task: Task, *, lease: timedelta, moved: int) -> None:
    """Keep a taken rotation and note the progress; raises OvertakenError (the worker's role)."""
    if not await pool.fetchval(_RENEW, *_key(task), lease, moved):
        raise OvertakenError


async def go_on(
    connection: Connection | Pool,
    task: Task,
    state: State,
    *,
    after: timedelta = timedelta(0),
    version: int | None = None,
) -> None:
    """Enter the next step; raises OvertakenError."""
    entered = await connection.fetchval(
        _GO_ON,
        *_key(task),
        state.value,
        after,
        version,
    )
    if not entered:
        raise OvertakenError


async def wait(pool: Pool, task: Task, *, after: timedelta, trouble: str | None) -> None:
    """Give a rotation back until later, and say what is wrong, if anything is."""
    await pool.execute(_WAIT, *_key(task), after, trouble)


async def retire(tx: Connection, task: Task) -> None:
    """Let all versions before the rotation's open nothing any more."""
    await tx.execute(
        "UPDATE data_key SET retired = now() WHERE tenant_id = $1 AND purpose = $2"
        " AND version < $3 AND retired IS NULL",
        task.tenant,
        task.purpose,
        task.version,
    )


async def destroy(tx: Connection, task: Task, *, retired_for: timedelta) -> bool:
    """Delete the versions that were retired long enough ago; False where some must wait."""
    await tx.execute(
        "DELETE FROM data_key WHERE tenant_id = $1 AND purpose = $2"
        " AND retired <= now() - $3::interval",
        task.tenant,
        task.purpose,
        retired_for,
    )
    left = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM data_key WHERE tenant_id = $1 AND purpose = $2"
        " AND retired IS NOT NULL)",
        task.tenant,
        task.purpose,
    )
    return not left


def _key(task: Task) -> tuple[UUID, str, str, int]:
    return task.tenant, task.purpose, task.kind.value, task.epoch
