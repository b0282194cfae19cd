"""Four eyes: what is said of acts that wait for a second owner; ids only."""

from uuid import UUID

from pydantic import BaseModel

from contracts.envelope import PUBLISHED, EventType
from contracts.topics import EVENTS
from contracts.vocabulary import Service


class ApprovalRequested(BaseModel):
    """An act that weakens waits for a second owner; `act` says which kind it is of."""

    model_config = PUBLISHED
    proposal_id: UUID
    act: str
    requested_by: UUID


class ApprovalGiven(BaseModel):
    """A second owner has approved, and with that the act was done."""

    model_config = PUBLISHED
    proposal_id: UUID
    act: str
    requested_by: UUID
    given_by: UUID


class ApprovalRefused(BaseModel):
    """An owner has refused, or withdrawn, what was proposed; nothing was done."""

    model_config = PUBLISHED
    proposal_id: UUID
    act: str
    requested_by: UUID
    refused_by: UUID


APPROVAL_REQUESTED = EventType(
    "mfa.approval_requested",
    1,
    Service.POLICY,
    EVENTS,
    ApprovalRequested,
    "An act that weakens waits for a second owner.",
)
APPROVAL_GIVEN = EventType(
    "mfa.approval_given",
    1,
    Service.POLICY,
    EVENTS,
    ApprovalGiven,
    "A second owner has approved an act.",
)
APPROVAL_REFUSED = EventType(
    "mfa.approval_refused",
    1,
    Service.POLICY,
    EVENTS,
    ApprovalRefused,
    "An owner has refused an act, or withdrawn it.",
)
