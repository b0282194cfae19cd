"""What verification announces."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from contracts.envelope import PUBLISHED, EventType
from contracts.topics import EVENTS
from contracts.vocabulary import Factor, Service


class CredentialClaimed(BaseModel):
    """Verification holds the credential and accepts its codes from now on."""

    model_config = PUBLISHED
    authenticator_id: UUID
    factor: Factor
    epoch: int


class CredentialForgotten(BaseModel):
    """Verification no longer accepts anything of this authenticator."""

    model_config = PUBLISHED
    authenticator_id: UUID
    epoch: int
    reset_id: UUID | None


class Verified(BaseModel):
    """A code was accepted; acr and amr as in RFC 8176 and NIST SP 800-63B-4.

    Of which version the application's policy was, and what the tenant's rules then said (SHA-256).
    """

    model_config = PUBLISHED
    application_id: UUID
    authenticator_id: UUID
    factor: Factor
    acr: str
    amr: tuple[str, ...]
    policy_version: int | None = None
    rules_digest: str | None = None


class FailureReason(StrEnum):
    """Why an evaluated code was refused."""

    WRONG_CODE = "wrong_code"
    REPLAYED = "replayed"
    REVOKED = "revoked"
    OVER_LIMIT = "over_limit"


class VerificationFailed(BaseModel):
    """A code was evaluated and refused; no authenticator is named where several were tried.

    Policy and rules are told as of one that is accepted.
    """

    model_config = PUBLISHED
    application_id: UUID
    authenticator_id: UUID | None
    reason: FailureReason
    policy_version: int | None = None
    rules_digest: str | None = None


class LockReason(StrEnum):
    """Why nothing is evaluated any more."""

    CONSECUTIVE_FAILURES = "consecutive_failures"
    BUDGET = "budget"


class Locked(BaseModel):
    """No code of this subject is evaluated until `until` (None: until it is unlocked or reset)."""

    model_config = PUBLISHED
    reason: LockReason
    until: datetime | None


class Unlocked(BaseModel):
    """Failures in a row no longer count; `application_id` is the application that asked for it."""

    model_config = PUBLISHED
    application_id: UUID


class VerificationRefused(BaseModel):
    """Attempts that were refused without a look at the code, summed up."""

    model_config = PUBLISHED
    application_id: UUID
    reason: LockReason
    count: int
    since: datetime


class DeviceRemembered(BaseModel):
    """A device may let its person in without a second factor until `expires`."""

    model_config = PUBLISHED
    device_id: UUID
    application_id: UUID
    expires: datetime


class ForgottenBecause(StrEnum):
    """Why a device is remembered no more; that its time was over is not announced."""

    THEFT = "theft"
    REVOKED = "revoked"
    AUTHENTICATOR_REMOVED = "authenticator_removed"
    RESET = "reset"
    SUBJECT_DELETED = "subject_deleted"


class DeviceForgotten(BaseModel):
    """A device is asked again from now on; `theft`: a token that was spent came back."""

    model_config = PUBLISHED
    device_id: UUID
    application_id: UUID
    reason: ForgottenBecause


class EnrollmentSkipped(BaseModel):
    """Somebody has put off enrolling, as the rule of this name lets them `skips_left` times more.

    The rules were those of `rules_version`; `rules_digest` is SHA-256 of all of it.
    """

    model_config = PUBLISHED
    application_id: UUID
    rule: str
    rules_version: int | None
    rules_digest: str | None
    skips_left: int


CREDENTIAL_CLAIMED = EventType(
    "mfa.credential_claimed",
    1,
    Service.VERIFICATION,
    EVENTS,
    CredentialClaimed,
    "Verification holds the credential.",
)
CREDENTIAL_FORGOTTEN = EventType(
    "mfa.credential_forgotten",
    1,
    Service.VERIFICATION,
    EVENTS,
    CredentialForgotten,
    "Verification accepts this authenticator no more.",
)
VERIFIED = EventType(
    "mfa.verified", 1, Service.VERIFICATION, EVENTS, Verified, "A code was accepted."
)
VERIFICATION_FAILED = EventType(
    "mfa.verification_failed",
    1,
    Service.VERIFICATION,
    EVENTS,
    VerificationFailed,
    "A code was refused.",
)
LOCKED = EventType(
    "mfa.locked", 1, Service.VERIFICATION, EVENTS, Locked, "A subject's codes were locked."
)
UNLOCKED = EventType(
    "mfa.unlocked",
    1,
    Service.VERIFICATION,
    EVENTS,
    Unlocked,
    "Somebody in charge lets a subject try again.",
)
VERIFICATION_REFUSED = EventType(
    "mfa.verification_refused",
    1,
    Service.VERIFICATION,
    EVENTS,
    VerificationRefused,
    "Attempts were refused without a look at the code, summed up by the minute.",
)
DEVICE_REMEMBERED = EventType(
    "mfa.device_remembered",
    1,
    Service.VERIFICATION,
    EVENTS,
    DeviceRemembered,
    "A device is remembered for some days.",
)
DEVICE_FORGOTTEN = EventType(
    "mfa.device_forgotten",
    1,
    Service.VERIFICATION,
    EVENTS,
    DeviceForgotten,
    "A device is remembered no more.",
)
ENROLLMENT_SKIPPED = EventType(
    "mfa.enrollment_skipped",
    1,
    Service.VERIFICATION,
    EVENTS,
    EnrollmentSkipped,
    "Somebody has put off enrolling once.",
)
