"""What is due in any tenant; the pool has the worker's role, which reads nothing sealed."""

from datetime import datetime, timedelta
from uuid import UUID

from libs.postgres.pool import Pool

# Longer than telling verification can take: what is due again belongs to a process that died.
_TAKEN_FOR = timedelta(seconds=5)
_KEPT = timedelta(days=1)


async def forget_enrollments(pool: Pool, *, now: datetime) -> None:
    """Erase what is sealed of enrollments that expired; a day later, all of them."""
    await pool.execute(
        "UPDATE enrollment SET sealed = NULL, sealed_name = NULL, sealed_label = NULL,"
        " confirmed_code = NULL,"
        " status = CASE status WHEN 'pending' THEN 'expired' ELSE status END"
        " WHERE expires <= $1 AND expires > $2 AND status IN ('pending', 'confirmed')",
        now,
        now - _KEPT,
    )
    await pool.execute("DELETE FROM enrollment WHERE expires <= $1", now - _KEPT)
    await pool.execute(
        "UPDATE sent_code SET sealed = NULL WHERE expires <= $1 AND sent > $2 AND status = 'open'",
        now,
        now - _KEPT,
    )
    await pool.execute("DELETE FROM sent_code WHERE sent <= $1", now - _KEPT)
    await pool.execute("DELETE FROM handover WHERE expires <= $1", now)
    await pool.execute("DELETE FROM presence WHERE expires <= $1", now)


async def take_revocations(pool: Pool, *, now: datetime, most: int) -> list[tuple[UUID, UUID]]:
    """Take subjects, as tenant and subject_ref, of whom verification is to be told (again)."""
    rows = await pool.fetch(
        "WITH taken AS (UPDATE authenticator a SET due = $1::timestamptz + $2::interval FROM ("
        " SELECT tenant_id, id FROM authenticator WHERE status = 'removing' AND due <= $1"
        " ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED) d"
        " WHERE a.tenant_id = d.tenant_id AND a.id = d.id RETURNING a.tenant_id, a.subject_ref)"
        " SELECT DISTINCT tenant_id, subject_ref FROM taken",
        now,
        _TAKEN_FOR,
        most,
    )
    return [(row["tenant_id"], row["subject_ref"]) for row in rows]


async def count_revocations(pool: Pool) -> int:
    """Return how many removals verification has not confirmed yet."""
    count: int = await pool.fetchval("SELECT count(*) FROM authenticator WHERE status = 'removing'")
    return count
