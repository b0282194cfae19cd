"""Remembered devices; every change is made under the lock of the subject's row."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.postgres.pool import Connection, Pool

_COLUMNS = "id, application_id, key_version, generation, remembered_at, rotated_at, expires, factor"


@dataclass(frozen=True)
class StoredDevice:
    """A device; of its token there is only the number of the generation.

    `factor` is the one on whose word it is trusted, None where that was not kept.
    """

    device_id: UUID
    application_id: UUID
    key_version: int
    generation: int
    remembered_at: datetime
    rotated_at: datetime
    expires: datetime
    factor: str | None = None


async def subject_of_authenticator(tx: Connection, authenticator_id: UUID) -> UUID | None:
    """Return whose authenticator this is."""
    subject: UUID | None = await tx.fetchval(
        "SELECT subject_ref FROM authenticator WHERE id = $1", authenticator_id
    )
    return subject


async def subject_of_name(tx: Connection, lookup: bytes) -> UUID | None:
    """Return whom an application means."""
    subject: UUID | None = await tx.fetchval(
        "SELECT id FROM subject WHERE lookup = $1 AND NOT deleted", lookup
    )
    return subject


async def subject_of_device(
    tx: Connection, device_id: UUID, *, application: UUID | None
) -> UUID | None:
    """Return whose device this is, if this application remembers it, or any where it is None."""
    subject: UUID | None = await tx.fetchval(
        "SELECT subject_ref FROM device WHERE id = $1"
        " AND ($2::uuid IS NULL OR application_id = $2)",
        device_id,
        application,
    )
    return subject


async def add(
    tx: Connection, tenant: UUID, subject: UUID, *, device: StoredDevice, authenticator_id: UUID
) -> bool:
    """Remember a device of a locked subject; False where it is known or the authenticator gone."""
    added = await tx.fetchval(
        "INSERT INTO device (tenant_id, id, application_id, subject_ref, key_version,"
        " remembered_at, rotated_at, expires, factor) SELECT $1, $2, $3, $4, $5, $6, $6, $7, factor"
        " FROM authenticator WHERE id = $8 AND subject_ref = $4 AND status = 'active'"
        " ON CONFLICT (tenant_id, id) DO NOTHING RETURNING true",
        tenant,
        device.device_id,
        device.application_id,
        subject,
        device.key_version,
        device.remembered_at,
        device.expires,
        authenticator_id,
    )
    return bool(added)


async def first_answer(tx: Connection, device_id: UUID) -> StoredDevice | None:
    """Return a device that was remembered once, whatever has become of it."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM device WHERE id = $1", device_id)  # noqa: S608
    return StoredDevice(*row) if row is not None else None


async def later_of(tx: Connection, now: datetime) -> datetime:
    """Return the later one of a node's time and PostgreSQL's."""
    later: datetime = await tx.fetchval("SELECT greatest($1, clock_timestamp())", now)
    return later


async def remembered(
    tx: Connection, subject: UUID, *, application: UUID, now: datetime, longest: timedelta
) -> list[StoredDevice]:
    """Return the devices by which an application knows a subject now.

    `longest` counts from when they were remembered, so that a shorter time holds for all at once.
    """
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM device WHERE subject_ref = $1 AND application_id = $2"  # noqa: S608
        " AND forgotten_at IS NULL AND expires > $3 AND remembered_at > $4 ORDER BY id",
        subject,
        application,
        now,
        now - longest,
    )
    return [StoredDevice(*row) for row in rows]


async def applications_of(tx: Connection, subject: UUID) -> list[UUID]:
    """Return the applications that have remembered a device of a subject."""
    rows = await tx.fetch(
        "SELECT DISTINCT application_id FROM device WHERE subject_ref = $1 ORDER BY 1", subject
    )
    return [row["application_id"] for row in rows]


async def rotate(tx: Connection, device_id: UUID, *, now: datetime) -> None:
    """Make the next generation, which spends the present one."""
    await tx.execute(
        "UPDATE device SET generation = generation + 1, rotated_at = $2 WHERE id = $1",
        device_id,
        now,
    )


async def forget(tx: Connection, device_id: UUID, *, now: datetime) -> UUID | None:
    """Forget a device of a locked subject; returns its application, None where it was forgotten."""
    application: UUID | None = await tx.fetchval(
        "UPDATE device SET forgotten_at = $2 WHERE id = $1 AND forgotten_at IS NULL"
        " AND expires > $2 RETURNING application_id",
        device_id,
        now,
    )
    return application


async def forget_all(tx: Connection, subject: UUID, *, now: datetime) -> list[tuple[UUID, UUID]]:
    """Forget all devices of a locked subject; returns their ids and applications."""
    rows = await tx.fetch(
        "UPDATE device SET forgotten_at = $2 WHERE subject_ref = $1 AND forgotten_at IS NULL"
        " AND expires > $2 RETURNING id, application_id",
        subject,
        now,
    )
    return sorted((row["id"], row["application_id"]) for row in rows)


async def delete_old(pool: Pool, kept: timedelta) -> None:
    """Delete what was forgotten or expired longer ago than `kept` (the worker's role)."""
    await pool.execute(
        "DELETE FROM device WHERE least(expires, forgotten_at) < now() - $1::interval", kept
    )
