"""What is due in any tenant; the pool has the worker's role, which reads nothing sealed."""

from datetime import datetime, timedelta
from uuid import UUID

from libs.postgres.pool import Pool

# Longer than telling verification can take: what is due again belongs to a process that died.
_TAKEN_FOR = timedelta(seconds=5)
_KEPT = timedelta(days=1)


# Statements of this pool may not take long.
_AT_ONCE = 5_000
_ERASE = """
UPDATE enrollment t SET sealed = NULL, sealed_name = NULL, sealed_label = NULL,
    confirmed_code = NULL, erased = true,
    status = CASE t.status WHEN 'pending' THEN 'expired' ELSE t.status END
FROM (SELECT tenant_id, id FROM enrollment WHERE NOT erased AND expires <= $1
      ORDER BY expires LIMIT $2) d
WHERE t.tenant_id = d.tenant_id AND t.id = d.id
"""
_EXPIRE_CODES = """
UPDATE sent_code t SET sealed = NULL, status = 'expired'
FROM (SELECT tenant_id, id FROM sent_code WHERE status = 'open' AND expires <= $1
      ORDER BY expires LIMIT $2) d
WHERE t.tenant_id = d.tenant_id AND t.id = d.id AND t.status = 'open'
"""
_OLD = (
    # table, its key, by which column, and how long it is kept after that
    ("enrollment", "id", "expires", _KEPT),
    ("sent_code", "id", "sent", _KEPT),
    ("handover", "enrollment_id", "expires", timedelta(0)),
    # By this process' clock: another one may be a little behind.
    ("presence", "id", "expires", timedelta(minutes=1)),
)


async def erase_enrollments(pool: Pool, *, now: datetime) -> None:
    """Erase what is sealed of enrollments that expired, some at a time."""
    await pool.execute(_ERASE, now, _AT_ONCE)


async def expire_codes(pool: Pool, *, now: datetime) -> None:
    """Erase the texts of codes that expired, some at a time."""
    await pool.execute(_EXPIRE_CODES, now, _AT_ONCE)


async def delete_old(pool: Pool, *, now: datetime) -> None:
    """Delete what nobody has to know any more, some at a time."""
    for table, key, column, kept in _OLD:
        await pool.execute(
            f"DELETE FROM {table} t USING ("  # noqa: S608 - constants
            f" SELECT tenant_id, {key} FROM {table} WHERE {column} <= $1 ORDER BY {column} LIMIT $2"
            f") d WHERE t.tenant_id = d.tenant_id AND t.{key} = d.{key}",
            now - kept,
            _AT_ONCE,
        )


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
