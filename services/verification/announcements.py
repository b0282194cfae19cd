"""From what happened to the event that says so."""

from datetime import datetime
from uuid import UUID

from contracts.envelope import about_person, about_person_unchecked
from contracts.verification import (
    CREDENTIAL_CLAIMED,
    CREDENTIAL_FORGOTTEN,
    DEVICE_FORGOTTEN,
    DEVICE_REMEMBERED,
    ENROLLMENT_SKIPPED,
    LOCKED,
    UNLOCKED,
    VERIFICATION_FAILED,
    VERIFICATION_REFUSED,
    VERIFIED,
    CredentialClaimed,
    CredentialForgotten,
    DeviceForgotten,
    DeviceRemembered,
    EnrollmentSkipped,
    FailureReason,
    ForgottenBecause,
    Locked,
    LockReason,
    Unlocked,
    VerificationRefused,
)
from contracts.vocabulary import Factor
from libs.messaging.cloud_event import CloudEvent
from services.verification.domain.outcome import ACR, AMR


def verified(  # noqa: PLR0913 - an event, attribute by attribute
    *,
    tenant: UUID,
    subject_ref: UUID,
    application_id: UUID,
    authenticator_id: UUID,
    factor: str,
    now: datetime,
    traceparent: str | None,
    policy_version: int | None = None,
    rules_digest: str | None = None,
) -> CloudEvent:
    """Say that a code was accepted."""
    data: dict[str, object] = {
        "application_id": application_id,
        "authenticator_id": authenticator_id,
        "factor": factor,
        "acr": ACR,
        "amr": AMR[factor],
        "policy_version": policy_version,
        "rules_digest": rules_digest,
    }
    return about_person_unchecked(
        VERIFIED, data, tenant=tenant, subject_ref=subject_ref, now=now, traceparent=traceparent
    )


def verification_failed(  # noqa: PLR0913 - an event, attribute by attribute
    *,
    tenant: UUID,
    subject_ref: UUID,
    application_id: UUID,
    authenticator_id: UUID | None,
    reason: FailureReason,
    now: datetime,
    traceparent: str | None,
    policy_version: int | None = None,
    rules_digest: str | None = None,
) -> CloudEvent:
    """Say that a code was evaluated and refused."""
    data: dict[str, object] = {
        "application_id": application_id,
        "authenticator_id": authenticator_id,
        "reason": reason.value,
        "policy_version": policy_version,
        "rules_digest": rules_digest,
    }
    return about_person_unchecked(
        VERIFICATION_FAILED,
        data,
        tenant=tenant,
        subject_ref=subject_ref,
        now=now,
        traceparent=traceparent,
    )


def verification_refused(
    *,
    tenant: UUID,
    subject_ref: UUID,
    application_id: UUID,
    reason: LockReason,
    count: int,
    since: datetime,
    now: datetime,
) -> CloudEvent:
    """Say how many attempts were refused without a look at the code."""
    data = VerificationRefused(
        application_id=application_id, reason=reason, count=count, since=since
    )
    return about_person(VERIFICATION_REFUSED, data, tenant=tenant, subject_ref=subject_ref, now=now)


def locked(
    *,
    tenant: UUID,
    subject_ref: UUID,
    now: datetime,
    traceparent: str | None,
) -> CloudEvent:
    """Say that too many failures in a row locked the subject's codes."""
    data = Locked(reason=LockReason.CONSECUTIVE_FAILURES, until=None)
    return about_person(
        LOCKED, data, tenant=tenant, subject_ref=subject_ref, now=now, traceparent=traceparent
    )


def unlocked(*, tenant: UUID, subject_ref: UUID, application_id: UUID, now: datetime) -> CloudEvent:
    """Say that somebody in charge lets a subject try again."""
    data = Unlocked(application_id=application_id)
    return about_person(UNLOCKED, data, tenant=tenant, subject_ref=subject_ref, now=now)


def credential_claimed(
    *,
    tenant: UUID,
    subject_ref: UUID,
    authenticator_id: UUID,
    factor: Factor,
    epoch: int,
    now: datetime,
) -> CloudEvent:
    """Say that codes of this authenticator are accepted from now on."""
    data = CredentialClaimed(authenticator_id=authenticator_id, factor=factor, epoch=epoch)
    return about_person(CREDENTIAL_CLAIMED, data, tenant=tenant, subject_ref=subject_ref, now=now)


def credential_forgotten(
    *,
    tenant: UUID,
    subject_ref: UUID,
    authenticator_id: UUID,
    epoch: int,
    reset_id: UUID | None,
    now: datetime,
) -> CloudEvent:
    """Say that nothing of this authenticator is accepted any more."""
    data = CredentialForgotten(authenticator_id=authenticator_id, epoch=epoch, reset_id=reset_id)
    return about_person(CREDENTIAL_FORGOTTEN, data, tenant=tenant, subject_ref=subject_ref, now=now)


def device_remembered(
    *,
    tenant: UUID,
    subject_ref: UUID,
    application_id: UUID,
    device_id: UUID,
    expires: datetime,
    now: datetime,
) -> CloudEvent:
    """Say that a device may let its person in without a second factor for a while."""
    data = DeviceRemembered(device_id=device_id, application_id=application_id, expires=expires)
    return about_person(DEVICE_REMEMBERED, data, tenant=tenant, subject_ref=subject_ref, now=now)


def device_forgotten(
    *,
    tenant: UUID,
    subject_ref: UUID,
    application_id: UUID,
    device_id: UUID,
    reason: ForgottenBecause,
    now: datetime,
) -> CloudEvent:
    """Say that a device is asked again."""
    data = DeviceForgotten(device_id=device_id, application_id=application_id, reason=reason)
    return about_person(DEVICE_FORGOTTEN, data, tenant=tenant, subject_ref=subject_ref, now=now)


def enrollment_skipped(
    *,
    tenant: UUID,
    subject_ref: UUID,
    application_id: UUID,
    rule: str,
    rules_version: int | None,
    rules_digest: str | None,
    skips_left: int,
    now: datetime,
) -> CloudEvent:
    """Say that somebody has put off enrolling."""
    data = EnrollmentSkipped(
        application_id=application_id,
        rule=rule,
        rules_version=rules_version,
        rules_digest=rules_digest,
        skips_left=skips_left,
    )
    return about_person(ENROLLMENT_SKIPPED, data, tenant=tenant, subject_ref=subject_ref, now=now)
