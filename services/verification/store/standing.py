"""Why a code that matched could not be accepted."""

from dataclasses import dataclass
from uuid import UUID

from contracts.topics import APPLICATIONS, POLICIES
from libs.postgres.pool import Connection
from services.verification.domain.promotion import Fence

# What is spent is said as settle.sql says it (`took`).
_STANDING = """
SELECT (SELECT version FROM replica WHERE topic = $2 AND key = $3 AND NOT deleted)
        AS application_version,
    (SELECT version FROM replica WHERE topic = $7 AND key = $3 AND NOT deleted) AS policy_version,
    (SELECT CASE factor WHEN 'pin' THEN false
            WHEN 'recovery_code' THEN used & (1::bigint << ($6::bigint)::int) <> 0
            ELSE last_step >= $6 END
        FROM authenticator WHERE subject_ref = $1 AND id = $4 AND epoch = $5
            AND status = 'active') AS spent,
    (SELECT period FROM authenticator WHERE subject_ref = $1 AND id = $4) AS period,
    coalesce((SELECT fences FROM authenticator WHERE subject_ref = $1 AND id = $4), 0)
        AS authenticator_fences,
    p.fences, p.fenced_at
FROM promotion p
"""


@dataclass(frozen=True)
class Standing:
    """What PostgreSQL knows where it did not accept.

    `spent` tells whether the code was used, None where the authenticator counts no more; the
    versions of application and policy are None where these do not. `period` and `fences` are the
    authenticator's, `fence` the last promotion.
    """

    application_version: int | None
    policy_version: int | None
    spent: bool | None
    period: int | None
    fences: int
    fence: Fence


async def standing_of(
    tx: Connection,
    subject: UUID,
    *,
    application: str,
    authenticator_id: UUID,
    epoch: int,
    step: int,
) -> Standing:
    """Return what decides whether a code could have been accepted now."""
    row = await tx.fetchrow(
        _STANDING,
        subject,
        APPLICATIONS.name,
        application,
        authenticator_id,
        epoch,
        step,
        POLICIES.name,
    )
    if row is None:
        raise LookupError("promotion has one row")
    return Standing(
        row["application_version"],
        row["policy_version"],
        row["spent"],
        row["period"],
        row["authenticator_fences"],
        Fence(row["fenced_at"], row["fences"]),
    )
