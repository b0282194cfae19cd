"""From what happened to the event that says so."""

from datetime import datetime
from uuid import UUID

from contracts.envelope import about_person
from contracts.recovery import (
    RECOVERY_KEY_ACKNOWLEDGED,
    RECOVERY_KEY_ISSUED,
    RECOVERY_REFUSED,
    RECOVERY_USED,
    RESET_COMPLETED,
    RESET_REQUESTED,
    RecoveryKeyAcknowledged,
    RecoveryKeyIssued,
    RecoveryMeans,
    RecoveryRefused,
    RecoveryUsed,
    ResetCompleted,
    ResetRequested,
)
from libs.messaging.cloud_event import CloudEvent

_MEANS = RecoveryMeans.RECOVERY_KEY


def key_issued(tenant: UUID, subject: UUID, *, key_id: UUID, now: datetime) -> CloudEvent:
    """Say that a recovery key was made."""
    data = RecoveryKeyIssued(recovery_key_id=key_id)
    return about_person(RECOVERY_KEY_ISSUED, data, tenant=tenant, subject_ref=subject, now=now)


def key_acknowledged(tenant: UUID, subject: UUID, *, key_id: UUID, now: datetime) -> CloudEvent:
    """Say that the client has shown it."""
    data = RecoveryKeyAcknowledged(recovery_key_id=key_id)
    return about_person(
        RECOVERY_KEY_ACKNOWLEDGED, data, tenant=tenant, subject_ref=subject, now=now
    )


def recovery_used(tenant: UUID, subject: UUID, *, reset_id: UUID, now: datetime) -> CloudEvent:
    """Say that a recovery key opened a reset."""
    data = RecoveryUsed(means=_MEANS, reset_id=reset_id)
    return about_person(RECOVERY_USED, data, tenant=tenant, subject_ref=subject, now=now)


def recovery_refused(tenant: UUID, subject: UUID, *, now: datetime) -> CloudEvent:
    """Say that a recovery key was tried and did not hold."""
    data = RecoveryRefused(means=_MEANS)
    return about_person(RECOVERY_REFUSED, data, tenant=tenant, subject_ref=subject, now=now)


def reset_requested(tenant: UUID, subject: UUID, *, reset_id: UUID, now: datetime) -> CloudEvent:
    """Ask for all authenticators of the subject to be removed."""
    data = ResetRequested(reset_id=reset_id, means=_MEANS)
    return about_person(RESET_REQUESTED, data, tenant=tenant, subject_ref=subject, now=now)


def reset_completed(
    tenant: UUID, subject: UUID, *, reset_id: UUID, removed: int, now: datetime
) -> CloudEvent:
    """Say that none of the old authenticators is accepted any more."""
    data = ResetCompleted(reset_id=reset_id, removed=removed)
    return about_person(RESET_COMPLETED, data, tenant=tenant, subject_ref=subject, now=now)
