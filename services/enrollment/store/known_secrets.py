"""Which secrets have come by an import, by keyed digests."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from libs.postgres.pool import Connection
from services.enrollment.domain.authenticator import Status
from services.enrollment.domain.enrollment import Enrollment
from services.enrollment.domain.hardware_token import TokenStatus
from services.enrollment.domain.import_decisions import Known, Where

_FIND = """
SELECT k.digest, k.content, a.status, t.status AS token_status
FROM known_secret k
LEFT JOIN authenticator a ON a.tenant_id = k.tenant_id AND a.id = k.authenticator_id
LEFT JOIN hardware_token t ON t.tenant_id = k.tenant_id AND t.id = k.hardware_token_id
WHERE k.digest = ANY ($1)
"""
_ADD = """
INSERT INTO known_secret (tenant_id, digest, content, hardware_token_id, authenticator_id,
                          subject_ref)
SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::uuid[], $5::uuid[], $6::uuid[])
AS g (digest) ORDER BY digest
"""


@dataclass(frozen=True)
class SecretEntry:
    """A secret that came, and what it became."""

    digest: bytes
    content: bytes
    token_id: UUID | None
    authenticator_id: UUID | None
    subject_ref: UUID | None


async def find_secrets(tx: Connection, digests: Sequence[bytes]) -> dict[bytes, Known]:
    """Return which of these have come before, and where they are."""
    rows = await tx.fetch(_FIND, digests)
    return {row["digest"]: Known(row["content"], _where(row)) for row in rows}


async def add_secrets(tx: Connection, tenant: UUID, entries: Sequence[SecretEntry]) -> None:
    """Keep that secrets have come; raises UniqueViolationError where one has at this moment."""
    await tx.execute(
        _ADD,
        *(tenant, [one.digest for one in entries], [one.content for one in entries]),
        [one.token_id for one in entries],
        [one.authenticator_id for one in entries],
        [one.subject_ref for one in entries],
    )


async def know_secret(tx: Connection, tenant: UUID, digest: bytes, enrollment: Enrollment) -> bool:
    """Keep that a secret became somebody's; False where it is known already."""
    known = await tx.fetchval(
        "INSERT INTO known_secret (tenant_id, digest, content, authenticator_id, subject_ref)"
        " VALUES ($1, $2, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING true",
        *(tenant, digest, enrollment.authenticator_id, enrollment.subject_ref),
    )
    return bool(known)


async def forget_secrets_of(tx: Connection, subject_ref: UUID) -> None:
    """Forget what somebody brought who is deleted."""
    await tx.execute("DELETE FROM known_secret WHERE subject_ref = $1", subject_ref)


def _where(row: asyncpg.Record) -> Where:
    if row["status"] is None:
        return Where.STOCK if row["token_status"] == TokenStatus.IN_STOCK else Where.ENROLLED
    return Where.ENROLLED if row["status"] == Status.ACTIVE else Where.REMOVED
