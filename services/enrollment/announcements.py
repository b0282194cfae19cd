"""From what happened to the event that says so."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.enrollment import (
    AUTHENTICATOR_REMOVED,
    AUTHENTICATORS_IMPORTED,
    CODE_REQUESTED,
    DISABLED,
    ENROLLED,
    ENROLLMENT_OPENED,
    ENROLLMENT_STARTED,
    RESET_APPLIED,
    AuthenticatorRemoved,
    AuthenticatorsImported,
    CodeRequested,
    Disabled,
    Enrolled,
    EnrollmentOpened,
    EnrollmentStarted,
    RemovalReason,
    ResetApplied,
)
from contracts.envelope import about_application, about_person
from contracts.rules import Disabler
from contracts.vocabulary import Factor
from libs.messaging.cloud_event import CloudEvent
from libs.web.callers import Caller
from services.enrollment.domain.authenticator import FIRST_EPOCH, Authenticator
from services.enrollment.domain.enrollment import Enrollment
from services.enrollment.domain.imports import AuthenticatorImport, State
from services.enrollment.domain.sent_codes import SentCode


def code_requested(tenant: UUID, code: SentCode, *, now: datetime) -> CloudEvent:
    """Ask notification to fetch a code and send it."""
    data = CodeRequested(
        code_id=code.code_id,
        channel=code.channel,
        purpose=code.purpose,
        application_id=code.application_id,
        enrollment_id=code.enrollment_id,
        expires=code.expires,
    )
    about = code.subject_ref
    return about_person(CODE_REQUESTED, data, tenant=tenant, subject_ref=about, now=now)


def enrollment_opened(tenant: UUID, code: SentCode, *, now: datetime) -> CloudEvent:
    """Say that the code to the login address was given."""
    data = EnrollmentOpened(code_id=code.code_id, application_id=code.application_id)
    about = code.subject_ref
    return about_person(ENROLLMENT_OPENED, data, tenant=tenant, subject_ref=about, now=now)


def enrollment_started(
    tenant: UUID, enrollment: Enrollment, *, shared_mailbox: bool, now: datetime
) -> CloudEvent:
    """Say that a subject began to enroll."""
    data = EnrollmentStarted(
        enrollment_id=enrollment.enrollment_id,
        application_id=enrollment.application_id,
        factor=enrollment.factor,
        shared_mailbox=shared_mailbox,
    )
    about = enrollment.subject_ref
    return about_person(ENROLLMENT_STARTED, data, tenant=tenant, subject_ref=about, now=now)


def enrolled(tenant: UUID, enrollment: Enrollment, *, now: datetime) -> CloudEvent:
    """Say that possession was proved, and that the credential can be claimed."""
    data = Enrolled(
        authenticator_id=enrollment.authenticator_id,
        enrollment_id=enrollment.enrollment_id,
        application_id=enrollment.application_id,
        factor=enrollment.factor,
        epoch=FIRST_EPOCH,
    )
    about = enrollment.subject_ref
    return about_person(ENROLLED, data, tenant=tenant, subject_ref=about, now=now)


def imported(
    tenant: UUID,
    done: AuthenticatorImport,
    *,
    subject_ref: UUID,
    authenticator_id: UUID,
    factor: Factor,
) -> CloudEvent:
    """Say that an import enrolled somebody, and that the credential can be claimed."""
    data = Enrolled(
        authenticator_id=authenticator_id,
        enrollment_id=done.import_id,
        application_id=done.application_id,
        factor=factor,
        epoch=FIRST_EPOCH,
    )
    return about_person(ENROLLED, data, tenant=tenant, subject_ref=subject_ref, now=done.touched)


def authenticators_imported(
    tenant: UUID, done: AuthenticatorImport, *, now: datetime
) -> CloudEvent:
    """Say that an import came to its end, whether all of it was worked through or not."""
    counts = done.counts
    data = AuthenticatorsImported(
        import_id=done.import_id,
        application_id=done.application_id,
        imported_by=done.author,
        complete=done.state is State.FINISHED,
        enrolled=counts.enrolled,
        stocked=counts.stocked,
        unchanged=counts.unchanged,
        refused=counts.refused,
    )
    return about_application(
        AUTHENTICATORS_IMPORTED, data, tenant=tenant, application_id=tenant, now=now
    )


def authenticator_removed(tenant: UUID, removed: Authenticator, *, now: datetime) -> CloudEvent:
    """Say that an authenticator counts no more from its present epoch on."""
    data = AuthenticatorRemoved(
        authenticator_id=removed.authenticator_id,
        factor=removed.factor,
        epoch=removed.epoch,
        reason=RemovalReason.REMOVED if removed.reset_id is None else RemovalReason.RESET,
        reset_id=removed.reset_id,
    )
    about = removed.subject_ref
    return about_person(AUTHENTICATOR_REMOVED, data, tenant=tenant, subject_ref=about, now=now)


def disabled(
    caller: Caller,
    subject_ref: UUID,
    *,
    by: Disabler,
    removed: Sequence[Authenticator],
    now: datetime,
) -> CloudEvent:
    """Say who switched off somebody's second step."""
    data = Disabled(
        by=by,
        application_id=caller.application_id,
        key_id=caller.key_id,
        authenticators=tuple(one.authenticator_id for one in removed),
    )
    return about_person(DISABLED, data, tenant=caller.tenant_id, subject_ref=subject_ref, now=now)


def reset_applied(
    tenant: UUID,
    subject_ref: UUID,
    *,
    reset_id: UUID,
    removed: Sequence[Authenticator],
    now: datetime,
) -> CloudEvent:
    """Say what a reset removed."""
    ids = tuple(one.authenticator_id for one in removed)
    data = ResetApplied(reset_id=reset_id, authenticators=ids)
    return about_person(RESET_APPLIED, data, tenant=tenant, subject_ref=subject_ref, now=now)
