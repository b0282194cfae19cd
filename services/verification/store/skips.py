"""How often somebody has put off enrolling, and answers that may have to be repeated."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.postgres.pool import Connection, Pool

# One statement is the lock: of racing requests each sees what the one before has used.
_USE = """
INSERT INTO skip AS s (tenant_id, lookup, rule, used, skipped_at, subject_ref)
SELECT $1, $2, $3, 1, $5, $6 WHERE $4 > 0
ON CONFLICT (tenant_id, lookup, rule) DO UPDATE
SET used = s.used + 1, skipped_at = excluded.skipped_at,
    subject_ref = coalesce(excluded.subject_ref, s.subject_ref)
WHERE s.used < $4 RETURNING used
"""
# Whoever comes second waits here for the end of the first one's transaction.
_BEGIN = """
INSERT INTO skip_answer AS a (tenant_id, application_id, idempotency_key, request, at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, application_id, idempotency_key) DO UPDATE
SET request = excluded.request, skips_left = NULL, at = excluded.at
WHERE a.at <= $6 RETURNING true
"""


@dataclass(frozen=True)
class Repeatable:
    """An application's Idempotency-Key and its request, as digests."""

    application_id: UUID
    key: bytes
    request: bytes


async def used(tx: Connection, lookup: bytes, rule: str) -> int:
    """Return how often somebody has put off enrolling under the rule of this name."""
    found: int | None = await tx.fetchval(
        "SELECT used FROM skip WHERE lookup = $1 AND rule = $2", lookup, rule
    )
    return found or 0


async def use(
    tx: Connection,
    tenant: UUID,
    lookup: bytes,
    *,
    rule: str,
    most: int,
    subject: UUID | None,
    now: datetime,
) -> int | None:
    """Put off once more, `most` times in all; returns how often it was then, None for no more."""
    times: int | None = await tx.fetchval(_USE, tenant, lookup, rule, most, now, subject)
    return times


async def whose(tx: Connection, subject: UUID, lookup: bytes) -> None:
    """Note who it is that was counted under a digest before policy had said so."""
    await tx.execute(
        "UPDATE skip SET subject_ref = $1 WHERE lookup = $2 AND subject_ref IS DISTINCT FROM $1",
        subject,
        lookup,
    )


async def forget(tx: Connection, subject: UUID) -> None:
    """Forget what was counted of a subject, whose name must still be known."""
    await tx.execute(
        "DELETE FROM skip WHERE subject_ref = $1"
        " OR lookup = (SELECT lookup FROM subject WHERE id = $1)",
        subject,
    )


async def begin(
    tx: Connection, tenant: UUID, asked: Repeatable, *, now: datetime, kept: timedelta
) -> bool:
    """Take an Idempotency-Key; False where it was answered within the time that it is `kept`."""
    taken = await tx.fetchval(
        _BEGIN, tenant, asked.application_id, asked.key, asked.request, now, now - kept
    )
    return bool(taken)


async def first_answer(tx: Connection, asked: Repeatable) -> int | None:
    """Return what a request under this key was answered; None where it was another request."""
    left: int | None = await tx.fetchval(
        "SELECT skips_left FROM skip_answer WHERE application_id = $1 AND idempotency_key = $2"
        " AND request = $3",
        asked.application_id,
        asked.key,
        asked.request,
    )
    return left


async def end(tx: Connection, asked: Repeatable, *, left: int | None) -> None:
    """Keep the answer for a repeat; None, for a refusal, gives the key free again."""
    place = (asked.application_id, asked.key)
    if left is None:
        await tx.execute(
            "DELETE FROM skip_answer WHERE application_id = $1 AND idempotency_key = $2", *place
        )
        return
    await tx.execute(
        "UPDATE skip_answer SET skips_left = $3 WHERE application_id = $1 AND idempotency_key = $2",
        *place,
        left,
    )


async def delete_old(pool: Pool, *, answers: timedelta, strangers: timedelta) -> None:
    """Delete answers that nobody may ask for, and what was counted of nobody (worker's role)."""
    await pool.execute("DELETE FROM skip_answer WHERE at < now() - $1::interval", answers)
    await pool.execute(
        "DELETE FROM skip WHERE subject_ref IS NULL AND skipped_at < now() - $1::interval",
        strangers,
    )
