"""What recovery announces."""

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from contracts.envelope import PUBLISHED, EventType
from contracts.topics import EVENTS
from contracts.vocabulary import Service


class RecoveryKeyIssued(BaseModel):
    """A recovery key was made; it replaces an earlier one of the subject."""

    model_config = PUBLISHED
    recovery_key_id: UUID


class RecoveryKeyAcknowledged(BaseModel):
    """The client has shown the recovery key; it is not made again for the same ticket."""

    model_config = PUBLISHED
    recovery_key_id: UUID


class RecoveryMeans(StrEnum):
    """What opened a recovery."""

    RECOVERY_KEY = "recovery_key"


class RecoveryUsed(BaseModel):
    """A means of recovery was used, and is spent."""

    model_config = PUBLISHED
    means: RecoveryMeans
    reset_id: UUID


class RecoveryRefused(BaseModel):
    """A means of recovery was tried and did not hold."""

    model_config = PUBLISHED
    means: RecoveryMeans


class ResetRequested(BaseModel):
    """All authenticators of the subject are to be removed."""

    model_config = PUBLISHED
    reset_id: UUID
    means: RecoveryMeans


class ResetCompleted(BaseModel):
    """Verification accepts none of the old authenticators any more."""

    model_config = PUBLISHED
    reset_id: UUID
    removed: int


RECOVERY_KEY_ISSUED = EventType(
    "mfa.recovery_key_issued",
    1,
    Service.RECOVERY,
    EVENTS,
    RecoveryKeyIssued,
    "A recovery key was made.",
)
RECOVERY_KEY_ACKNOWLEDGED = EventType(
    "mfa.recovery_key_acknowledged",
    1,
    Service.RECOVERY,
    EVENTS,
    RecoveryKeyAcknowledged,
    "The recovery key was shown.",
)
RECOVERY_USED = EventType(
    "mfa.recovery_used", 1, Service.RECOVERY, EVENTS, RecoveryUsed, "A recovery was opened."
)
RECOVERY_REFUSED = EventType(
    "mfa.recovery_refused",
    1,
    Service.RECOVERY,
    EVENTS,
    RecoveryRefused,
    "A means of recovery did not hold.",
)
RESET_REQUESTED = EventType(
    "mfa.reset_requested",
    1,
    Service.RECOVERY,
    EVENTS,
    ResetRequested,
    "All authenticators of a subject are to be removed.",
)
RESET_COMPLETED = EventType(
    "mfa.reset_completed",
    1,
    Service.RECOVERY,
    EVENTS,
    ResetCompleted,
    "None of the old authenticators is accepted any more.",
)
