"""Subjects, their authenticators, and answers that may have to be repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.rules import Login
from libs.postgres.pool import Connection
from services.verification.domain.budget import Budget, Family, Spent, family_of


@dataclass(frozen=True)
class StoredAuthenticator:
    """One active authenticator; its secret is still sealed."""

    authenticator_id: UUID
    factor: str
    epoch: int
    sealed: bytes
    algorithm: str | None
    digits: int | None
    period: int | None
    last_step: int


@dataclass(frozen=True)
class Failures:
    """How full the bucket of a family was and when; failures in a row, and when the last was."""

    spent: Spent
    consecutive: int
    failed_at: datetime


# Where the bucket of a family stands.
_PREFIX = {Family.CODES: "", Family.RECOVERY: "recovery_"}


@dataclass(frozen=True)
class Attributes:
    """What rules may ask about a subject; where they have not arrived, they are not `known`."""

    user_type: str | None = None
    groups: tuple[str, ...] = ()
    known: bool = False

    def of(self, application_id: UUID, subject: UUID) -> Login:
        """Return the login of who has these attributes."""
        return Login(application_id, subject, self.user_type, self.groups, known=self.known)


@dataclass(frozen=True)
class StoredSubject:
    """A subject with what decides whether it may try: `cache_version` grows with every change."""

    subject_ref: UUID
    cache_version: int
    unlocked_version: int
    attributes: Attributes
    failures: Mapping[Family, Failures]
    authenticators: tuple[StoredAuthenticator, ...]


async def load_subject(tx: Connection, subject: UUID) -> StoredSubject | None:
    """Return a subject with its active authenticators, as of one moment."""
    rows = await tx.fetch(
        "SELECT s.cache_version, s.unlocked_version, s.user_type, s.groups, s.attributes_known,"
        " s.spent, s.spent_at, s.consecutive,"
        " s.failed_at, s.recovery_spent, s.recovery_spent_at, s.recovery_consecutive,"
        " s.recovery_failed_at, a.id, a.factor, a.epoch,"
        " a.sealed, a.algorithm, a.digits, a.period, a.last_step FROM subject s"
        " LEFT JOIN authenticator a ON a.tenant_id = s.tenant_id AND a.subject_ref = s.id"
        " AND a.status = 'active' WHERE s.id = $1 AND NOT s.deleted ORDER BY a.id",
        subject,
    )
    if not rows:
        return None
    return StoredSubject(
        subject_ref=subject,
        cache_version=rows[0]["cache_version"],
        unlocked_version=rows[0]["unlocked_version"],
        attributes=_attributes(rows[0]),
        failures={
            family: Failures(
                Spent(level=rows[0][f"{prefix}spent"], at=rows[0][f"{prefix}spent_at"]),
                rows[0][f"{prefix}consecutive"],
                rows[0][f"{prefix}failed_at"],
            )
            for family, prefix in _PREFIX.items()
        },
        authenticators=tuple(
            StoredAuthenticator(
                authenticator_id=row["id"],
                factor=row["factor"],
                epoch=row["epoch"],
                sealed=row["sealed"],
                algorithm=row["algorithm"],
                digits=row["digits"],
                period=row["period"],
                last_step=row["last_step"],
            )
            for row in rows
            if row["id"] is not None
        ),
    )


async def attributes_of(tx: Connection, subject: UUID) -> Attributes:
    """Return what is known about a subject."""
    row = await tx.fetchrow(
        "SELECT user_type, groups, attributes_known FROM subject WHERE id = $1", subject
    )
    return _attributes(row) if row is not None else Attributes()


def _attributes(row: asyncpg.Record) -> Attributes:
    return Attributes(row["user_type"], tuple(row["groups"]), row["attributes_known"])


async def subject_named(tx: Connection, lookup: bytes) -> UUID | None:
    """Return whom applications mean by the name with this digest."""
    found: UUID | None = await tx.fetchval(
        "SELECT id FROM subject WHERE lookup = $1 AND NOT deleted", lookup
    )
    return found


@dataclass(frozen=True)
class Enrolled:
    """A subject's attributes, and the factors that it has."""

    subject_ref: UUID
    attributes: Attributes
    factors: Sequence[str]


async def enrolled_factors(tx: Connection, lookup: bytes) -> Enrolled | None:
    """Return what is known of whoever this is; nothing of a stranger."""
    row = await tx.fetchrow(
        "SELECT s.id, s.user_type, s.groups, s.attributes_known,"
        " array_remove(array_agg(DISTINCT a.factor), NULL) AS factors FROM subject s"
        " LEFT JOIN authenticator a ON a.tenant_id = s.tenant_id AND a.subject_ref = s.id"
        " AND a.status = 'active'"
        " WHERE s.lookup = $1 AND NOT s.deleted GROUP BY s.tenant_id, s.id",
        lookup,
    )
    if row is None:
        return None
    return Enrolled(row["id"], _attributes(row), row["factors"])


# The wait is that of domain/budget.py (wait_after).
_CHARGE = """
UPDATE subject SET @spent_at = greatest(@spent_at, $2), @spent = $6 + greatest(0, @spent -
    $4 * greatest(0, extract(epoch FROM $2 - @spent_at)))
WHERE id = $1 AND @consecutive < $5 AND $6 + greatest(0, @spent -
    $4 * greatest(0, extract(epoch FROM $2 - @spent_at))) <= $3
    AND (@consecutive < $7 OR extract(epoch FROM $2 - @failed_at)
        >= least(3600, 30 * 2 ^ least(@consecutive - $7, 7)))
RETURNING true
"""


async def charge(
    tx: Connection, subject: UUID, weight: int, *, now: datetime, budget: Budget, family: Family
) -> bool:
    """Charge one guess durably, for when Redis cannot; False where none is left."""
    charged = await tx.fetchval(
        _CHARGE.replace("@", _PREFIX[family]),
        subject,
        now,
        float(budget.capacity),
        budget.per_second,
        budget.consecutive,
        float(weight),
        budget.before_waiting,
    )
    return bool(charged)


async def give_back(tx: Connection, subject: UUID, weight: int, family: Family) -> None:
    """Take back a durable charge for a guess that was never made."""
    taken_back = "UPDATE subject SET @spent = greatest(0, @spent - $2) WHERE id = $1"
    await tx.execute(taken_back.replace("@", _PREFIX[family]), subject, float(weight))


async def unlock(tx: Connection, subject: UUID, *, level: float) -> int:
    """End the runs of failures of a locked subject; its buckets are as full as `level` at most.

    Returns the version of the subject from now on.
    """
    version: int = await tx.fetchval(
        "UPDATE subject SET consecutive = 0, recovery_consecutive = 0,"
        " spent = least(spent, $2), recovery_spent = least(recovery_spent, $2),"
        " cache_version = cache_version + 1, unlocked_version = cache_version + 1"
        " WHERE id = $1 RETURNING cache_version",
        subject,
        level,
    )
    return version


async def bury_all(tx: Connection, subject: UUID) -> list[tuple[UUID, int]]:
    """Put tombstones for all authenticators of a locked subject; returns ids and epochs."""
    rows = await tx.fetch(
        "UPDATE authenticator SET status = 'removed', sealed = NULL, epoch = epoch + 1"
        " WHERE subject_ref = $1 AND status = 'active' RETURNING id, epoch",
        subject,
    )
    return [(row["id"], row["epoch"]) for row in rows]


async def lock_subject(tx: Connection, tenant: UUID, subject: UUID) -> None:
    """Make the subject's row where it is missing, and lock it: every change begins with this."""
    await tx.execute(
        "INSERT INTO subject (tenant_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        tenant,
        subject,
    )
    await tx.execute("SELECT 1 FROM subject WHERE id = $1 FOR UPDATE", subject)


async def save_state(
    tx: Connection,
    subject: UUID,
    *,
    version: int,
    deleted: bool,
    user_type: str | None,
    groups: Sequence[str],
) -> bool:
    """Take a newer state of a locked subject, or the same where attributes were not kept then."""
    taken = await tx.fetchval(
        "UPDATE subject SET state_version = $2, deleted = $3,"
        " lookup = CASE WHEN $3 THEN NULL ELSE lookup END, cache_version = cache_version + 1,"
        " user_type = $4, groups = $5, attributes_known = true WHERE id = $1"
        " AND (state_version < $2 OR (state_version = $2 AND NOT attributes_known AND NOT deleted))"
        " RETURNING true",
        subject,
        version,
        deleted,
        user_type,
        groups,
    )
    return bool(taken)


async def save_lookup(tx: Connection, subject: UUID, lookup: bytes) -> None:
    """Remember under which digest applications will ask for this subject."""
    await tx.execute(
        "UPDATE subject SET lookup = $2 WHERE id = $1 AND NOT deleted", subject, lookup
    )


async def bump_cache_version(tx: Connection, subject: UUID) -> int:
    """Make older cached copies of a locked subject worthless; returns the new version."""
    version: int = await tx.fetchval(
        "UPDATE subject SET cache_version = cache_version + 1 WHERE id = $1"
        " RETURNING cache_version",
        subject,
    )
    return version


async def add_authenticator(
    tx: Connection, tenant: UUID, subject: UUID, authenticator: StoredAuthenticator
) -> bool:
    """Add an authenticator of a locked subject; False where it, or its tombstone, is there.

    A new one is a new binding, so it ends a lock (NIST SP 800-63B-4 section 3.2.2).
    """
    added = await tx.fetchval(
        "INSERT INTO authenticator (tenant_id, id, subject_ref, factor, status, epoch, sealed,"
        " algorithm, digits, period, last_step, fences)"
        " SELECT $1, $2, $3, $4, 'active', $5, $6, $7, $8, $9, $10, fences FROM promotion"
        " ON CONFLICT (tenant_id, id) DO NOTHING RETURNING true",
        tenant,
        authenticator.authenticator_id,
        subject,
        authenticator.factor,
        authenticator.epoch,
        authenticator.sealed,
        authenticator.algorithm,
        authenticator.digits,
        authenticator.period,
        authenticator.last_step,
    )
    if added:
        ended = "UPDATE subject SET @consecutive = 0 WHERE id = $1"
        prefix = _PREFIX[family_of(authenticator.factor)]
        await tx.execute(ended.replace("@", prefix), subject)
    return bool(added)


async def bury(
    tx: Connection, tenant: UUID, subject: UUID, *, authenticator_id: UUID, factor: str, epoch: int
) -> bool:
    """Put a tombstone for an authenticator of a locked subject; False where one stands already."""
    buried = await tx.fetchval(
        "INSERT INTO authenticator AS a (tenant_id, id, subject_ref, factor, status, epoch)"
        " VALUES ($1, $2, $3, $4, 'removed', $5)"
        " ON CONFLICT (tenant_id, id) DO UPDATE SET status = 'removed', sealed = NULL,"
        " epoch = greatest(a.epoch + 1, excluded.epoch)"
        " WHERE a.status <> 'removed' AND a.subject_ref = excluded.subject_ref RETURNING true",
        tenant,
        authenticator_id,
        subject,
        factor,
        epoch,
    )
    return bool(buried)
