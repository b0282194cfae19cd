"""Answers that are kept for a repeat, until nobody may ask for them any more."""

from datetime import timedelta

from libs.postgres.pool import Pool

# After an outage there may be millions: no statement should hold the locks of all.
_PORTION = 5_000
# Once more outside: what was found may have been replaced by a newer answer since.
_DELETE = """
WITH gone AS (
    DELETE FROM answer WHERE at < now() - $1::interval
        AND ctid = ANY (ARRAY(SELECT ctid FROM answer WHERE at < now() - $1::interval LIMIT $2))
    RETURNING 1
)
SELECT count(*) FROM gone
"""


async def delete_answers(pool: Pool, older_than: timedelta) -> int:
    """Delete some that are older than this; 0 where none is left (the worker's role)."""
    deleted: int = await pool.fetchval(_DELETE, older_than, _PORTION)
    return deleted
