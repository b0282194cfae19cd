"""Who may have a credential: the first attempt that asks, until it acknowledges."""

from uuid import UUID

from services.enrollment.domain.authenticator import Status
from services.enrollment.domain.refusals import Refusal


def claim_refusal(
    attempt: UUID, *, status: Status, claimed_by: UUID | None, erased: bool
) -> Refusal | None:
    """Return why this attempt does not get the credential, or None where it does."""
    if status is not Status.ACTIVE:
        return Refusal.GONE
    if claimed_by not in (None, attempt):
        return Refusal.CLAIMED_BY_ANOTHER
    return Refusal.GONE if erased else None
