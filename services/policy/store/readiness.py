"""Who has enrolled what, as enrollment announced it."""

from collections.abc import Sequence
from uuid import UUID

from contracts.vocabulary import Factor
from libs.postgres.pool import Connection

# Whoever deletes the person meanwhile is waited for, or waits.
# A removal is kept: an older event that comes again does not bring the authenticator back.
_ENROLLED = """
INSERT INTO enrolled (tenant_id, subject_ref, authenticator_id, factor, removed)
SELECT $1, $2, $3, $4, $5 FROM subject WHERE tenant_id = $1 AND subject_ref = $2 AND NOT deleted
FOR KEY SHARE
ON CONFLICT (tenant_id, authenticator_id) DO UPDATE SET removed = true WHERE excluded.removed
"""


async def note_enrolled(
    tx: Connection, tenant: UUID, subject: UUID, authenticator_id: UUID, factor: Factor
) -> None:
    """Note that somebody has this authenticator, unless it was removed or the person is gone."""
    await tx.execute(_ENROLLED, tenant, subject, authenticator_id, factor.value, False)


async def note_removed(
    tx: Connection, tenant: UUID, subject: UUID, authenticator_id: UUID, factor: Factor
) -> None:
    """Note that somebody has this authenticator no more, whatever comes later."""
    await tx.execute(_ENROLLED, tenant, subject, authenticator_id, factor.value, True)


async def forget_readiness(tx: Connection, tenant: UUID, subjects: Sequence[UUID]) -> None:
    """Leave nothing of people who are deleted."""
    for table in ("enrolled", "login_day"):
        await tx.execute(
            f"DELETE FROM {table} WHERE tenant_id = $1 AND subject_ref = ANY ($2)",  # noqa: S608
            tenant,
            subjects,
        )
