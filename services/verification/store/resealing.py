"""Credentials that were sealed anew: a change of the person like any other."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Connection
from libs.sealing.sealed_columns import Change

# Subjects first and in the order of their ids, as settle.sql does it; nobody's lock is waited for,
# and ours last for this statement and its commit.
_SWAP = """
WITH changed AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[])
        AS c (id, subject_ref, old, new)
), held AS MATERIALIZED (
    SELECT s.id FROM subject s WHERE s.id IN (SELECT subject_ref FROM changed)
    ORDER BY s.id FOR UPDATE SKIP LOCKED
), swapped AS (
    UPDATE authenticator a SET sealed = c.new FROM changed c JOIN held h ON h.id = c.subject_ref
    WHERE a.id = c.id AND a.subject_ref = c.subject_ref AND a.sealed = c.old
    RETURNING a.subject_ref
), grown AS (
    UPDATE subject s SET cache_version = cache_version + 1
    WHERE s.id IN (SELECT subject_ref FROM swapped) RETURNING s.id, s.cache_version
)
SELECT id, cache_version, (SELECT count(*) FROM swapped) AS moved FROM grown
"""


@dataclass(frozen=True)
class Moved:
    """How many credentials were swapped, and whose copies are of which version now."""

    credentials: int
    versions: Sequence[tuple[UUID, int]]


async def swap_credentials(tx: Connection, changes: Sequence[Change]) -> Moved:
    """Put new values in the place of old ones that are still there."""
    rows = await tx.fetch(
        _SWAP,
        [change.row["id"] for change in changes],
        [change.row["subject_ref"] for change in changes],
        [change.old for change in changes],
        [change.new for change in changes],
    )
    versions = [(row["id"], row["cache_version"]) for row in rows]
    return Moved(rows[0]["moved"] if rows else 0, versions)
