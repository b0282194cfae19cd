"""How often who logged in where, by the day; counted from the stream, each record once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from libs.messaging.kafka import Place
from libs.postgres.pool import Pool


@dataclass(frozen=True, order=True)
class LoginDay:
    """One person's logins at one application by one factor on one day (UTC)."""

    tenant: UUID
    subject_ref: UUID
    application_id: UUID
    day: date
    factor: str


# The offset that comes next is the lock of a partition, and decides which records are new.
_FOLLOWING = """
INSERT INTO login_read AS r (topic, kafka_partition, following) VALUES ($1, $2, 0)
ON CONFLICT (topic, kafka_partition) DO UPDATE SET following = r.following RETURNING following
"""
_ADD = """
INSERT INTO login_day AS l (tenant_id, subject_ref, application_id, day, factor, logins)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::date[], $5::text[], $6::int[])
    AS g (tenant_id, subject_ref, application_id, day, factor, logins)
WHERE NOT EXISTS (
    SELECT FROM subject s
    WHERE s.tenant_id = g.tenant_id AND s.subject_ref = g.subject_ref AND s.deleted)
ORDER BY tenant_id, subject_ref, application_id, day, factor
ON CONFLICT (tenant_id, subject_ref, application_id, day, factor)
DO UPDATE SET logins = l.logins + excluded.logins
"""
_FORGET = """
DELETE FROM login_day WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM login_day WHERE day < $1 LIMIT $2))
"""
_MOST_FORGOTTEN = 10_000


async def add_logins(
    pool: Pool, place: Place, found: Sequence[tuple[int, LoginDay]], *, following: int
) -> int:
    """Count what of a partition was not counted yet; returns how many logins that were.

    Of those who are deleted nothing is kept. `found` has the offset of each login; `following` is
    the offset after all that was read.
    """
    async with pool.acquire() as connection, connection.transaction():
        counted: int = await connection.fetchval(_FOLLOWING, *place)
        new = _counts([login for offset, login in found if offset >= counted])
        if following <= counted:
            return 0
        if new:
            # In one order: two partitions never hold the same person, but the same row is locked
            # by whoever deletes the person.
            days = sorted(new)
            await connection.execute(
                _ADD,
                [one.tenant for one in days],
                [one.subject_ref for one in days],
                [one.application_id for one in days],
                [one.day for one in days],
                [one.factor for one in days],
                [new[one] for one in days],
            )
        await connection.execute(
            "UPDATE login_read SET following = $3 WHERE topic = $1 AND kafka_partition = $2",
            *place,
            following,
        )
        return sum(new.values())


async def counted_until(pool: Pool, place: Place) -> int:
    """Return the offset after what is counted of a partition."""
    following: int | None = await pool.fetchval(
        "SELECT following FROM login_read WHERE topic = $1 AND kafka_partition = $2", *place
    )
    return following or 0


async def count_anew(pool: Pool, place: Place, *, counted: int) -> None:
    """Count a partition from its beginning, unless somebody has gone on with it meanwhile."""
    await pool.execute(
        "UPDATE login_read SET following = 0"
        " WHERE topic = $1 AND kafka_partition = $2 AND following = $3",
        *place,
        counted,
    )


async def forget_logins(pool: Pool, *, before: date) -> int:
    """Delete some of what is older; returns how many rows that were."""
    done: str = await pool.execute(_FORGET, before, _MOST_FORGOTTEN)
    return int(done.rsplit(maxsplit=1)[-1])


def _counts(logins: Sequence[LoginDay]) -> Mapping[LoginDay, int]:
    counts: dict[LoginDay, int] = {}
    for one in logins:
        counts[one] = counts.get(one, 0) + 1
    return counts
