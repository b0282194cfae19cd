"""What enrollment announces."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from contracts.codes import CodeChannel, CodePurpose
from contracts.envelope import PUBLISHED, EventType
from contracts.rules import Disabler
from contracts.topics import EVENTS
from contracts.vocabulary import Factor, Service


class EnrollmentStarted(BaseModel):
    """A subject began to enroll; nothing counts yet.

    `shared_mailbox`: the login address looks like one of several people (requirement D6).
    """

    model_config = PUBLISHED
    enrollment_id: UUID
    application_id: UUID
    factor: Factor
    shared_mailbox: bool = False


class Enrolled(BaseModel):
    """The subject proved possession; verification may now claim the credential."""

    model_config = PUBLISHED
    authenticator_id: UUID
    enrollment_id: UUID
    application_id: UUID
    factor: Factor
    epoch: int


class CodeRequested(BaseModel):
    """A code is to be sent now; the text and the number are claimed, by `code_id`.

    `enrollment_id` is the enrollment that it confirms, if there is one yet.
    """

    model_config = PUBLISHED
    code_id: UUID
    channel: CodeChannel
    purpose: CodePurpose
    application_id: UUID
    enrollment_id: UUID | None
    expires: datetime


class EnrollmentOpened(BaseModel):
    """The code that was sent to the login address was given: an enrollment may begin."""

    model_config = PUBLISHED
    code_id: UUID
    application_id: UUID


class RemovalReason(StrEnum):
    """Why an authenticator went."""

    REMOVED = "removed"
    RESET = "reset"


class AuthenticatorRemoved(BaseModel):
    """An authenticator no longer counts from `epoch` on."""

    model_config = PUBLISHED
    authenticator_id: UUID
    factor: Factor
    epoch: int
    reason: RemovalReason
    reset_id: UUID | None


class Disabled(BaseModel):
    """The second step of a subject was switched off: all authenticators were removed.

    `by` is in which capacity, `key_id` whose key it was.
    """

    model_config = PUBLISHED
    by: Disabler
    application_id: UUID
    key_id: UUID
    authenticators: tuple[UUID, ...]


class AuthenticatorsImported(BaseModel):
    """An import of authenticators came to its end; `imported_by` is the key that began it.

    `enrolled` became somebody's authenticators, each with an event of its own; `stocked` wait for
    somebody. Where it is not `complete` it was cancelled: what the counts say was done even so.
    """

    model_config = PUBLISHED
    import_id: UUID
    application_id: UUID
    imported_by: UUID
    complete: bool
    enrolled: int
    stocked: int
    unchanged: int
    refused: int


class ResetApplied(BaseModel):
    """Enrollment removed these authenticators for a reset; an empty list had nothing to remove."""

    model_config = PUBLISHED
    reset_id: UUID
    authenticators: tuple[UUID, ...]


ENROLLMENT_STARTED = EventType(
    "mfa.enrollment_started",
    1,
    Service.ENROLLMENT,
    EVENTS,
    EnrollmentStarted,
    "A subject began to enroll.",
)
CODE_REQUESTED = EventType(
    "mfa.enrollment_code_requested",
    1,
    Service.ENROLLMENT,
    EVENTS,
    CodeRequested,
    "A code is to be sent to somebody who enrolls.",
)
ENROLLMENT_OPENED = EventType(
    "mfa.enrollment_opened",
    1,
    Service.ENROLLMENT,
    EVENTS,
    EnrollmentOpened,
    "Somebody gave the code that was sent to the login address.",
)
ENROLLED = EventType(
    "mfa.enrolled", 1, Service.ENROLLMENT, EVENTS, Enrolled, "An authenticator was enrolled."
)
AUTHENTICATOR_REMOVED = EventType(
    "mfa.authenticator_removed",
    1,
    Service.ENROLLMENT,
    EVENTS,
    AuthenticatorRemoved,
    "An authenticator was removed.",
)
DISABLED = EventType(
    "mfa.disabled",
    1,
    Service.ENROLLMENT,
    EVENTS,
    Disabled,
    "A subject's second step was switched off.",
)
RESET_APPLIED = EventType(
    "mfa.reset_applied",
    1,
    Service.ENROLLMENT,
    EVENTS,
    ResetApplied,
    "Enrollment removed what a reset asked it to remove.",
)
AUTHENTICATORS_IMPORTED = EventType(
    "mfa.authenticators_imported",
    1,
    Service.ENROLLMENT,
    EVENTS,
    AuthenticatorsImported,
    "An import of authenticators came to its end.",
)
