"""Subjects as locks, and enrollments that are under way."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.vocabulary import Algorithm, Factor
from libs.postgres.pool import Connection
from services.enrollment.domain.enrollment import Enrollment, Status
from services.enrollment.domain.parameters import Columns, columns_of, parameters_of


@dataclass(frozen=True)
class Seals:
    """The secret and the texts as they are stored; what was erased is None."""

    secret: bytes | None = field(repr=False)
    name: bytes | None = field(repr=False)
    label: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class StoredEnrollment:
    """An enrollment with what is sealed of it, and the digest of the code that confirmed it."""

    enrollment: Enrollment
    seals: Seals
    confirmed_code: bytes | None = field(repr=False)


async def lock_subject(tx: Connection, tenant: UUID, subject_ref: UUID) -> bool:
    """Make the subject's row where it is missing, and lock it: every change begins with this.

    Returns False where policy has deleted the subject.
    """
    await tx.execute(
        "INSERT INTO subject (tenant_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        tenant,
        subject_ref,
    )
    deleted = await tx.fetchval("SELECT deleted FROM subject WHERE id = $1 FOR UPDATE", subject_ref)
    return not deleted


async def save_deleted(tx: Connection, subject_ref: UUID) -> None:
    """Store that a locked subject is deleted: for good, since a subject_ref never comes again."""
    await tx.execute("UPDATE subject SET deleted = true WHERE id = $1", subject_ref)


async def add_enrollment(
    tx: Connection, tenant: UUID, enrollment: Enrollment, *, seals: Seals, started: datetime
) -> None:
    """Store an enrollment of a locked subject."""
    await tx.execute(
        "INSERT INTO enrollment (tenant_id, id, authenticator_id, subject_ref, application_id,"
        " factor, algorithm, digits, period, counter, status, tries_left, sealed, sealed_name,"
        " sealed_label, started, expires, vouched, vouched_by, token_id) VALUES ($1, $2, $3,"
        " $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        tenant,
        enrollment.enrollment_id,
        enrollment.authenticator_id,
        enrollment.subject_ref,
        enrollment.application_id,
        enrollment.factor,
        *columns_of(enrollment.parameters),
        enrollment.status,
        enrollment.tries_left,
        seals.secret,
        seals.name,
        seals.label,
        started,
        enrollment.expires,
        enrollment.vouched,
        enrollment.vouched_by,
        enrollment.token_id,
    )


async def find_enrollment(
    tx: Connection, enrollment_id: UUID, application_id: UUID
) -> StoredEnrollment | None:
    """Return an enrollment that this application started."""
    row = await tx.fetchrow(
        "SELECT * FROM enrollment WHERE id = $1 AND application_id = $2",
        enrollment_id,
        application_id,
    )
    return _stored(row) if row is not None else None


async def lock_enrollment(tx: Connection, enrollment_id: UUID) -> StoredEnrollment | None:
    """Return an enrollment of a locked subject as it is now, until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM enrollment WHERE id = $1 FOR UPDATE", enrollment_id)
    return _stored(row) if row is not None else None


async def save_wrong_code(tx: Connection, enrollment: Enrollment) -> None:
    """Store that a try was lost; when the enrollment is over, its secret is too."""
    await tx.execute(
        "UPDATE enrollment SET tries_left = $2, status = $3,"
        " sealed = CASE WHEN $3 = 'pending' THEN sealed END,"
        " sealed_name = CASE WHEN $3 = 'pending' THEN sealed_name END,"
        " sealed_label = CASE WHEN $3 = 'pending' THEN sealed_label END WHERE id = $1",
        enrollment.enrollment_id,
        enrollment.tries_left,
        enrollment.status.value,
    )


async def save_confirmed(tx: Connection, enrollment: Enrollment, *, code_digest: bytes) -> None:
    """Store that an enrollment was confirmed; what was sealed is the authenticator's now."""
    await tx.execute(
        "UPDATE enrollment SET status = 'confirmed', confirmed_at = $2, confirmed_code = $3,"
        " sealed = NULL, sealed_name = NULL, sealed_label = NULL WHERE id = $1",
        enrollment.enrollment_id,
        enrollment.confirmed_at,
        code_digest,
    )


async def cancel_older(tx: Connection, subject_ref: UUID, *, kept: int) -> None:
    """End what a locked subject has begun to enroll, but for the newest ones."""
    await tx.execute(
        "UPDATE enrollment SET status = 'cancelled', sealed = NULL, sealed_name = NULL,"
        " sealed_label = NULL WHERE status = 'pending' AND id = ANY (ARRAY("
        " SELECT id FROM enrollment WHERE subject_ref = $1 AND status = 'pending'"
        " ORDER BY id DESC OFFSET $2))",
        subject_ref,
        kept,
    )


async def cancel_enrollments(tx: Connection, subject_ref: UUID) -> None:
    """End what a locked subject has begun to enroll, and erase its secrets."""
    await tx.execute(
        "UPDATE enrollment SET status = 'cancelled', sealed = NULL, sealed_name = NULL,"
        " sealed_label = NULL WHERE subject_ref = $1 AND status = 'pending'",
        subject_ref,
    )


def _stored(row: asyncpg.Record) -> StoredEnrollment:
    return StoredEnrollment(
        enrollment=Enrollment(
            enrollment_id=row["id"],
            authenticator_id=row["authenticator_id"],
            subject_ref=row["subject_ref"],
            application_id=row["application_id"],
            factor=Factor(row["factor"]),
            parameters=parameters_of(_columns(row)),
            status=Status(row["status"]),
            tries_left=row["tries_left"],
            expires=row["expires"],
            confirmed_at=row["confirmed_at"],
            vouched=row["vouched"],
            vouched_by=row["vouched_by"],
            token_id=row["token_id"],
        ),
        seals=Seals(row["sealed"], row["sealed_name"], row["sealed_label"]),
        confirmed_code=row["confirmed_code"],
    )


def _columns(row: asyncpg.Record) -> Columns:
    algorithm = row["algorithm"]
    return Columns(
        algorithm=Algorithm(algorithm) if algorithm is not None else None,
        digits=row["digits"],
        period=row["period"],
        counter=row["counter"],
    )
