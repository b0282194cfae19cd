"""Who hears an address for an event: the first attempt that asks, until it acknowledges."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from contracts.topics import REPLAYABLE_FOR
from services.policy.domain.refusals import Refusal

# As long as notification tries to send a message.
CLAIMED_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Claim:
    """A claim of one subject's address for one event; there is one at most for an event."""

    caused_by: UUID
    subject_ref: UUID
    claimed_by: UUID
    expires: datetime
    acknowledged: bool


def new_claim(caused_by: UUID, subject_ref: UUID, *, attempt: UUID, now: datetime) -> Claim:
    """Return the claim of the first attempt that asks."""
    expires = now + CLAIMED_FOR
    return Claim(caused_by, subject_ref, claimed_by=attempt, expires=expires, acknowledged=False)


def claim_refusal(claim: Claim, attempt: UUID, *, now: datetime) -> Refusal | None:
    """Return why this attempt does not hear the address, or None where it does."""
    if claim.claimed_by != attempt:
        return Refusal.CLAIMED_BY_ANOTHER
    return Refusal.GONE if claim.acknowledged or now >= claim.expires else None


def forgettable(now: datetime) -> datetime:
    """Return the time such that claims which expired before it can be forgotten.

    Until then the event may come again, and what is forgotten another attempt would get.
    """
    return now - REPLAYABLE_FOR
