"""Hundreds of subjects and their authenticators in one statement, as imports need them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.credentials import WITH_CODES
from contracts.vocabulary import Algorithm, Factor
from libs.postgres.pool import Connection
from services.enrollment.domain.authenticator import FIRST_EPOCH

_ADD = """
INSERT INTO authenticator (tenant_id, id, subject_ref, factor, algorithm, digits, period, epoch,
                           status, last_step, sealed, sealed_name, enrolled_at)
SELECT $1, id, subject_ref, factor, algorithm, digits, period, $2, 'active', last_step, sealed,
       sealed_name, $3
FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::int[], $9::int[], $10::bigint[],
            $11::bytea[], $12::bytea[])
AS g (id, subject_ref, factor, algorithm, digits, period, last_step, sealed, sealed_name)
"""


@dataclass(frozen=True)
class NewAuthenticator:
    """An authenticator that comes by an import; `last_step` and all before it are spent."""

    authenticator_id: UUID
    subject_ref: UUID
    factor: Factor
    algorithm: Algorithm
    digits: int
    period: int | None
    last_step: int
    sealed: bytes = field(repr=False)
    sealed_name: bytes | None = field(repr=False)


async def lock_subjects(tx: Connection, tenant: UUID, refs: Sequence[UUID]) -> frozenset[UUID]:
    """Lock subjects in the order of their ids, making missing rows; return those not deleted."""
    ordered = sorted(set(refs))
    await tx.execute(
        "INSERT INTO subject (tenant_id, id) SELECT $1, id FROM unnest($2::uuid[]) AS g (id)"
        " ORDER BY id ON CONFLICT DO NOTHING",
        *(tenant, ordered),
    )
    rows = await tx.fetch(
        "SELECT id, deleted FROM subject WHERE id = ANY ($1) ORDER BY id FOR UPDATE", ordered
    )
    return frozenset(row["id"] for row in rows if not row["deleted"])


async def not_deleted(tx: Connection, refs: Sequence[UUID]) -> frozenset[UUID]:
    """Return who is not known to be deleted; nothing is written or locked."""
    rows = await tx.fetch("SELECT id FROM subject WHERE id = ANY ($1) AND deleted", refs)
    return frozenset(refs) - {row["id"] for row in rows}


async def active_counts(tx: Connection, refs: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many active authenticators with codes subjects have; who has none is left out."""
    rows = await tx.fetch(
        "SELECT subject_ref, count(*) AS active FROM authenticator"
        " WHERE subject_ref = ANY ($1) AND factor = ANY ($2) AND status = 'active'"
        " GROUP BY subject_ref",
        *(refs, sorted(WITH_CODES)),
    )
    return {row["subject_ref"]: row["active"] for row in rows}


async def add_authenticators(
    tx: Connection, tenant: UUID, made: Sequence[NewAuthenticator], *, now: datetime
) -> None:
    """Store authenticators of locked subjects."""
    await tx.execute(
        _ADD,
        *(tenant, FIRST_EPOCH, now),
        *(list(column) for column in zip(*map(_values, made), strict=True)),
    )


def _values(one: NewAuthenticator) -> tuple[object, ...]:
    return (
        *(one.authenticator_id, one.subject_ref, one.factor.value, one.algorithm.value),
        *(one.digits, one.period, one.last_step, one.sealed, one.sealed_name),
    )
