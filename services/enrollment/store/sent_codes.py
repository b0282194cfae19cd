"""Codes that were sent, for judging them, for handing them over, and for counting them."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.codes import CodeChannel
from libs.postgres.pool import Connection
from services.enrollment.domain.sent_codes import SentCode, Status


@dataclass(frozen=True)
class Claimable:
    """A code, what is sealed of its message, and which attempt has it."""

    code: SentCode
    sealed: bytes | None = field(repr=False)
    claimed_by: UUID | None


async def sends_to(tx: Connection, to_digest: bytes, *, since: datetime) -> list[datetime]:
    """Return when codes were sent there, and let nobody else send there until this commits."""
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0))", to_digest
    )
    rows = await tx.fetch(
        "SELECT sent FROM sent_code WHERE to_digest = $1 AND sent > $2", to_digest, since
    )
    return [row["sent"] for row in rows]


async def calls_for(tx: Connection, subject_ref: UUID, *, since: datetime) -> list[datetime]:
    """Return when codes were sent to telephones that a locked subject named."""
    rows = await tx.fetch(
        "SELECT sent FROM sent_code WHERE subject_ref = $1 AND channel <> 'email' AND sent > $2",
        subject_ref,
        since,
    )
    return [row["sent"] for row in rows]


async def add_code(tx: Connection, tenant: UUID, code: SentCode, *, sealed: bytes) -> None:
    """Store a code of a locked subject."""
    await tx.execute(
        "INSERT INTO sent_code (tenant_id, id, subject_ref, application_id, enrollment_id, channel,"
        " to_digest, digest, sealed, status, tries_left, sent, expires)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        tenant,
        code.code_id,
        code.subject_ref,
        code.application_id,
        code.enrollment_id,
        code.channel,
        code.to_digest,
        code.digest,
        sealed,
        code.status,
        code.tries_left,
        code.sent,
        code.expires,
    )


async def newest_for_enrollment(tx: Connection, enrollment_id: UUID) -> SentCode | None:
    """Return the last code that was sent to confirm an enrollment."""
    row = await tx.fetchrow(
        "SELECT * FROM sent_code WHERE enrollment_id = $1 ORDER BY id DESC LIMIT 1", enrollment_id
    )
    return _code(row) if row is not None else None


async def newest_for_opening(
    tx: Connection, subject_ref: UUID, application_id: UUID
) -> SentCode | None:
    """Return the last code that was sent to open an enrollment of a subject."""
    row = await tx.fetchrow(
        "SELECT * FROM sent_code WHERE subject_ref = $1 AND application_id = $2"
        " AND enrollment_id IS NULL ORDER BY id DESC LIMIT 1",
        subject_ref,
        application_id,
    )
    return _code(row) if row is not None else None


async def save_code(tx: Connection, code: SentCode) -> None:
    """Store how a code stands; one that is good no more is not handed over either."""
    await tx.execute(
        "UPDATE sent_code SET status = $2, tries_left = $3,"
        " sealed = CASE WHEN $2 = 'open' THEN sealed END WHERE id = $1",
        code.code_id,
        code.status.value,
        code.tries_left,
    )


async def use_up(tx: Connection, enrollment_id: UUID) -> None:
    """Let no code that was to confirm an enrollment be good, or sent, any more."""
    await tx.execute(
        "UPDATE sent_code SET status = $2, sealed = NULL WHERE enrollment_id = $1 AND status = $3",
        enrollment_id,
        Status.USED,
        Status.OPEN,
    )


async def close_codes(tx: Connection, subject_ref: UUID) -> None:
    """Let no code of a locked subject be good, or sent, any more."""
    await tx.execute(
        "UPDATE sent_code SET status = $2, sealed = NULL WHERE subject_ref = $1 AND status = $3",
        subject_ref,
        Status.REPLACED,
        Status.OPEN,
    )


async def lock_code(tx: Connection, code_id: UUID) -> Claimable | None:
    """Return a code as it is now, until the transaction ends."""
    row = await tx.fetchrow("SELECT * FROM sent_code WHERE id = $1 FOR UPDATE", code_id)
    return Claimable(_code(row), row["sealed"], row["claimed_by"]) if row is not None else None


async def save_code_claim(tx: Connection, code_id: UUID, attempt: UUID) -> None:
    """Store which attempt sends the code."""
    await tx.execute("UPDATE sent_code SET claimed_by = $2 WHERE id = $1", code_id, attempt)


async def erase_code(tx: Connection, code_id: UUID) -> None:
    """Erase the text of a code that was sent; its digest still judges it."""
    await tx.execute("UPDATE sent_code SET sealed = NULL WHERE id = $1", code_id)


def _code(row: asyncpg.Record) -> SentCode:
    return SentCode(
        code_id=row["id"],
        subject_ref=row["subject_ref"],
        application_id=row["application_id"],
        enrollment_id=row["enrollment_id"],
        channel=CodeChannel(row["channel"]),
        to_digest=row["to_digest"],
        digest=row["digest"],
        tries_left=row["tries_left"],
        sent=row["sent"],
        expires=row["expires"],
        status=Status(row["status"]),
    )
