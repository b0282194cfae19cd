"""Authenticators, from their confirmation until nothing of them is left but a tombstone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.vocabulary import Factor
from libs.postgres.pool import Connection
from services.enrollment.domain.authenticator import FIRST_EPOCH, Authenticator, Status
from services.enrollment.domain.enrollment import Enrollment
from services.enrollment.domain.parameters import columns_of
from services.enrollment.store.enrollments import Seals

_COLUMNS = "id, subject_ref, factor, epoch, status, enrolled_at, reset_id, sealed_name"


@dataclass(frozen=True)
class StoredAuthenticator:
    """An authenticator, and its name as it is stored."""

    authenticator: Authenticator
    sealed_name: bytes | None = field(repr=False)


async def add_authenticator(
    tx: Connection,
    tenant: UUID,
    enrollment: Enrollment,
    *,
    seals: Seals,
    last_step: int,
    mark: bytes | None,
) -> bool:
    """Store what a confirmed enrollment became; its id lets it become one only.

    Returns False where somebody of the tenant has, or had, what has this mark.
    """
    columns = columns_of(enrollment.parameters)
    added = await tx.fetchval(
        "INSERT INTO authenticator (tenant_id, id, subject_ref, factor, algorithm, digits, period,"
        " epoch, status, last_step, sealed, sealed_name, enrolled_at, mark_digest)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $10, $11, $12, $13)"
        " ON CONFLICT (tenant_id, mark_digest) DO NOTHING RETURNING true",
        tenant,
        enrollment.authenticator_id,
        enrollment.subject_ref,
        enrollment.factor,
        columns.algorithm,
        columns.digits,
        columns.period,
        FIRST_EPOCH,
        last_step,
        seals.secret,
        seals.name,
        enrollment.confirmed_at,
        mark,
    )
    return bool(added)


async def active_factors(tx: Connection, subject_ref: UUID) -> list[Factor]:
    """Return the factors of a subject's active authenticators, one for each."""
    rows = await tx.fetch(
        "SELECT factor FROM authenticator WHERE subject_ref = $1 AND status = 'active'",
        subject_ref,
    )
    return [Factor(row["factor"]) for row in rows]


async def find_authenticator(tx: Connection, authenticator_id: UUID) -> StoredAuthenticator | None:
    """Return one authenticator."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM authenticator WHERE id = $1",  # noqa: S608 - a constant
        authenticator_id,
    )
    return _stored(row) if row is not None else None


async def list_authenticators(tx: Connection, subject_ref: UUID) -> list[StoredAuthenticator]:
    """Return the authenticators of a subject that are not removed for good."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM authenticator"  # noqa: S608 - a constant
        " WHERE subject_ref = $1 AND status <> 'removed' ORDER BY id",
        subject_ref,
    )
    return [_stored(row) for row in rows]


async def lock_with_status(
    tx: Connection, subject_ref: UUID, status: Status
) -> list[Authenticator]:
    """Return the authenticators of a locked subject that have this status, in the order of ids."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM authenticator"  # noqa: S608 - a constant
        " WHERE subject_ref = $1 AND status = $2 ORDER BY id FOR UPDATE",
        subject_ref,
        status,
    )
    return [_stored(row).authenticator for row in rows]


async def save_name(tx: Connection, authenticator_id: UUID, sealed: bytes | None) -> bool:
    """Store what an authenticator is called now; False where there is none any more."""
    saved = await tx.fetchval(
        "UPDATE authenticator SET sealed_name = $2 WHERE id = $1 AND status = 'active'"
        " RETURNING true",
        authenticator_id,
        sealed,
    )
    return bool(saved)


async def save_removal(tx: Connection, removed: Authenticator, *, due: datetime) -> None:
    """Store a removal and erase the secret; `due` is when verification is to be told again."""
    await tx.execute(
        "UPDATE authenticator SET status = $2, epoch = $3, reset_id = $4, due = $5, sealed = NULL"
        " WHERE id = $1",
        removed.authenticator_id,
        removed.status,
        removed.epoch,
        removed.reset_id,
        due,
    )


async def save_effective(
    tx: Connection, subject_ref: UUID, authenticator_ids: Sequence[UUID]
) -> None:
    """Store that verification accepts nothing of these any more; their names go too."""
    await tx.execute(
        "UPDATE authenticator SET status = 'removed', sealed_name = NULL, due = NULL"
        " WHERE subject_ref = $1 AND id = ANY($2) AND status = 'removing'",
        subject_ref,
        authenticator_ids,
    )


async def add_reset(
    tx: Connection, tenant: UUID, subject_ref: UUID, *, reset_id: UUID, now: datetime
) -> bool:
    """Store that a reset is applied; False where it was before."""
    added = await tx.fetchval(
        "INSERT INTO reset (tenant_id, id, subject_ref, applied) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING true",
        tenant,
        reset_id,
        subject_ref,
        now,
    )
    return bool(added)


def _stored(row: asyncpg.Record) -> StoredAuthenticator:
    return StoredAuthenticator(
        authenticator=Authenticator(
            authenticator_id=row["id"],
            subject_ref=row["subject_ref"],
            factor=Factor(row["factor"]),
            epoch=row["epoch"],
            status=Status(row["status"]),
            enrolled_at=row["enrolled_at"],
            reset_id=row["reset_id"],
        ),
        sealed_name=row["sealed_name"],
    )
