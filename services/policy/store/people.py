"""A tenant's people as rules see them: attributes, enrolled factors, and how often they log in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg

from contracts.vocabulary import Factor
from libs.postgres.pool import Connection
from services.policy.domain.survey import Observed
from services.policy.domain.ways import Alike

# Both joins say between whom they are: else each page would go through what is there of everybody.
# What no rule asks for makes no difference between people, and is left out before they are counted.
_PAGE = """
WITH page AS MATERIALIZED (
    SELECT subject_ref, user_type, groups FROM subject
    WHERE tenant_id = $1 AND subject_ref > $2 AND NOT deleted ORDER BY subject_ref LIMIT $3
), able AS MATERIALIZED (
    SELECT subject_ref, array_agg(DISTINCT factor ORDER BY factor) AS factors FROM enrolled
    WHERE tenant_id = $1 AND NOT removed AND subject_ref > $2
      AND subject_ref <= (SELECT subject_ref FROM page ORDER BY subject_ref DESC LIMIT 1)
    GROUP BY subject_ref
), seen AS MATERIALIZED (
    SELECT subject_ref,
           CASE WHEN user_type = ANY ($4::text[]) THEN user_type END AS user_type,
           CASE WHEN groups && $5::text[] THEN ARRAY(
               SELECT word FROM unnest(groups) AS word WHERE word = ANY ($5::text[]) ORDER BY word
           ) ELSE '{}' END AS groups,
           CASE WHEN subject_ref = ANY ($6::uuid[]) THEN subject_ref END AS named,
           coalesce(factors, '{}') AS factors
    FROM page LEFT JOIN able USING (subject_ref)
)
"""
_ALIKE = f"""{_PAGE}
SELECT user_type, groups, named, factors, count(*) AS people,
       (SELECT subject_ref FROM page ORDER BY subject_ref DESC LIMIT 1) AS last
FROM seen GROUP BY user_type, groups, named, factors
"""  # noqa: S608 - constants
_EACH = f"""{_PAGE}
SELECT subject_ref, user_type, groups, named, factors FROM seen ORDER BY subject_ref
"""  # noqa: S608
_LOGINS = f"""{_PAGE}
SELECT s.user_type, s.groups, s.named, s.factors, l.application_id, l.factor,
       sum(l.logins)::bigint AS logins
FROM login_day AS l JOIN seen AS s USING (subject_ref)
WHERE l.tenant_id = $1 AND l.day >= $7 AND l.subject_ref > $2
  AND l.subject_ref <= (SELECT subject_ref FROM page ORDER BY subject_ref DESC LIMIT 1)
GROUP BY s.user_type, s.groups, s.named, s.factors, l.application_id, l.factor
"""  # noqa: S608


@dataclass(frozen=True)
class Mentioned:
    """What rules ask for: people who are the same in this are alike."""

    user_types: Sequence[str]
    groups: Sequence[str]
    subjects: Sequence[UUID]


@dataclass(frozen=True)
class Page:
    """Some people, counted, and after whom the next ones come; None at the end."""

    people: Counter[Alike]
    logins: Sequence[Observed]
    last: UUID | None


async def people_alike(
    tx: Connection, tenant: UUID, mentioned: Mentioned, *, after: UUID, most: int, since: date
) -> Page:
    """Return the next people with their logins since a day."""
    place = (tenant, after, most, mentioned.user_types, mentioned.groups, mentioned.subjects)
    rows = await tx.fetch(_ALIKE, *place)
    people = Counter({_alike(row): int(row["people"]) for row in rows})
    logins = [
        Observed(_alike(row), row["application_id"], Factor(row["factor"]), row["logins"])
        for row in await tx.fetch(_LOGINS, *place, since)
    ]
    full = people.total() == most
    return Page(people, logins, rows[0]["last"] if full else None)


async def each_person(
    tx: Connection, tenant: UUID, mentioned: Mentioned, *, after: UUID, most: int
) -> list[tuple[UUID, Alike]]:
    """Return the next people one by one."""
    rows = await tx.fetch(
        _EACH, tenant, after, most, mentioned.user_types, mentioned.groups, mentioned.subjects
    )
    return [(row["subject_ref"], _alike(row)) for row in rows]


async def count_people(tx: Connection, tenant: UUID) -> int:
    """Return how many subjects the tenant has."""
    count: int = await tx.fetchval(
        "SELECT count(*) FROM subject WHERE tenant_id = $1 AND NOT deleted", tenant
    )
    return count


def _alike(row: asyncpg.Record) -> Alike:
    return Alike(
        user_type=row["user_type"],
        groups=tuple(row["groups"]),
        subject_ref=row["named"],
        factors=tuple(row["factors"]),
    )
