"""Acts that weaken wait for a second owner: who may approve them, until when, and of what."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.policy.domain.acts import Act
from services.policy.domain.application import Key
from services.policy.domain.refusals import Refusal

WAITS_FOR = timedelta(days=7)
# Of one key: each of them is looked at by whoever proposes, and by whoever approves.
MOST_WAITING = 20


class Status(StrEnum):
    """What became of a proposal; who withdraws their own refuses it, too."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Look:
    """How an act weakens what there is, in words, and of which version that is."""

    because: tuple[str, ...]
    compared_with: int


@dataclass(frozen=True)
class Proposal:
    """An act that waits, or waited; `holder` is whose key `proposed_by` is."""

    proposal_id: UUID
    act: Act
    look: Look
    proposed_by: UUID
    holder: UUID
    proposed: datetime
    decided: Status | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None

    @property
    def expires(self) -> datetime:
        """Return from when on nobody can approve it."""
        return self.proposed + WAITS_FOR

    def status(self, now: datetime) -> Status:
        """Return what has become of it."""
        if self.decided is not None:
            return self.decided
        return Status.WAITING if now < self.expires else Status.EXPIRED


def waiting_refusal(proposal: Proposal, now: datetime) -> Refusal | None:
    """Return why nothing can be decided about a proposal any more, or None."""
    match proposal.status(now):
        case Status.WAITING:
            return None
        case Status.EXPIRED:
            return Refusal.PROPOSAL_EXPIRED
        case _:
            return Refusal.PROPOSAL_DECIDED


def approval_refusal(proposal: Proposal, *, approver: Key, proposer: Key) -> Refusal | None:
    """Return why the holder of this key cannot approve, or None; both keys are as they are now.

    A second key is no second person, and a key that says of nobody that it is theirs may be the
    first person's. What a key proposed that is revoked since, its holder may not have proposed.
    """
    if approver.revoked or approver.holder is None or approver.holder == proposal.holder:
        return Refusal.SECOND_PERSON_NEEDED
    return Refusal.PROPOSAL_STALE if proposer.revoked else None
