"""What happened, in the published language: facts for everybody, states for copies; pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace as changed_event

from contracts.approvals import (
    APPROVAL_GIVEN,
    APPROVAL_REFUSED,
    APPROVAL_REQUESTED,
    ApprovalGiven,
    ApprovalRefused,
    ApprovalRequested,
)
from contracts.envelope import Data, EventType, about_application, about_person
from contracts.policy import (
    APPLICATION_CHANGED,
    APPLICATION_STATE,
    ENFORCEMENT_DUE,
    POLICY_CHANGED,
    POLICY_STATE,
    RULES_PUBLISHED,
    RULES_WRITTEN,
    SUBJECT_CHANGED,
    SUBJECT_STATE,
    SUBJECTS_IMPORTED,
    TENANT_CHANGED,
    ApplicationChanged,
    ApplicationKey,
    ApplicationState,
    Change,
    EnforcementDue,
    PolicyChanged,
    PolicyState,
    RulesPublished,
    RulesWritten,
    SubjectChanged,
    SubjectsImported,
    SubjectState,
    TenantChanged,
)
from contracts.rules import Rule
from contracts.topics import Topic
from contracts.vocabulary import Factor, Scope
from libs.messaging.cloud_event import CloudEvent
from services.policy.domain.application import Application, Key, published_keys
from services.policy.domain.calendar import required_from
from services.policy.domain.imports import State, SubjectImport
from services.policy.domain.owners import Settings
from services.policy.domain.policy import Policy
from services.policy.domain.proposals import Proposal, Status
from services.policy.domain.subject import Unnamed
from services.policy.domain.versions import RulesVersion

Announcement = tuple[Topic, CloudEvent]


def tenant_created(tenant: UUID, *, now: datetime) -> Announcement:
    """A tenant came."""
    data = TenantChanged(change=Change.CREATED)
    return _of_application(TENANT_CHANGED, data, tenant=tenant, about=tenant, now=now)


def settings_changed(
    tenant: UUID, settings: Settings, *, changed_by: UUID, now: datetime, mailboxes: bool = False
) -> Announcement:
    """A tenant has chosen something else for itself; which `mailboxes` it means stays here."""
    data = TenantChanged(
        change=Change.UPDATED,
        changed_by=changed_by,
        four_eyes=settings.four_eyes,
        mailboxes=mailboxes,
    )
    return _of_application(TENANT_CHANGED, data, tenant=tenant, about=tenant, now=now)


def application_changed(
    tenant: UUID,
    application: Application,
    *,
    change: Change,
    key_id: UUID | None,
    changed_by: UUID,
    now: datetime,
) -> tuple[Announcement, ...]:
    """An application is now like this, for this reason, because the holder of a key said so."""
    about = application.application_id
    fact = ApplicationChanged(
        application_id=about, change=change, key_id=key_id, changed_by=changed_by
    )
    state = application_state(application)
    return (
        _of_application(APPLICATION_CHANGED, fact, tenant=tenant, about=about, now=now),
        _of_application(APPLICATION_STATE, state, tenant=tenant, about=about, now=now),
    )


def policy_changed(
    tenant: UUID, policy: Policy, *, changed_by: UUID, now: datetime
) -> tuple[Announcement, ...]:
    """An application now asks this, because the holder of this key said so."""
    about = policy.application_id
    state = policy_state(policy)
    fact = PolicyChanged(
        application_id=about,
        version=state.version,
        requirement=state.requirement,
        factors=state.factors,
        changed_by=changed_by,
    )
    return (
        _of_application(POLICY_CHANGED, fact, tenant=tenant, about=about, now=now),
        _of_application(POLICY_STATE, state, tenant=tenant, about=about, now=now),
    )


def policies_ruled(
    tenant: UUID, policies: Iterable[Policy], *, changed_by: UUID, now: datetime
) -> list[Announcement]:
    """Applications now are under these rules; rules that many have in common are written once."""
    written: dict[int, object] = {}
    said: list[Announcement] = []
    for policy in policies:
        ruled = policy.ruled
        if id(ruled) not in written:
            written[id(ruled)] = [rule.model_dump(mode="json") for rule in ruled.rules]
        bare = replace(policy, ruled=replace(ruled, rules=()))
        fact, (topic, state) = policy_changed(tenant, bare, changed_by=changed_by, now=now)
        whole = changed_event(state, data=state.data | {"rules": written[id(ruled)]})
        said += [fact, (topic, whole)]
    return said


def rules_written(tenant: UUID, written: RulesVersion, *, by: UUID, now: datetime) -> Announcement:
    """A version of the tenant's rules is there."""
    data = RulesWritten(version=written.version, digest=written.digest, written_by=by)
    return _of_application(RULES_WRITTEN, data, tenant=tenant, about=tenant, now=now)


def rules_published(
    tenant: UUID, found: RulesVersion, *, replaced: int | None, by: UUID, now: datetime
) -> Announcement:
    """Other rules of the tenant are in force."""
    data = RulesPublished(
        version=found.version, digest=found.digest, replaced=replaced, published_by=by
    )
    return _of_application(RULES_PUBLISHED, data, tenant=tenant, about=tenant, now=now)


def enforcement_due(
    tenant: UUID, found: RulesVersion, rule: Rule, *, days: int, now: datetime
) -> Announcement:
    """A rule will soon require something."""
    starts = required_from(rule)
    if starts is None:
        raise ValueError("what has no start is not ahead")
    data = EnforcementDue(
        version=found.version, digest=found.digest, rule=rule.name, starts=starts, days=days
    )
    return _of_application(ENFORCEMENT_DUE, data, tenant=tenant, about=tenant, now=now)


def approval_requested(tenant: UUID, proposal: Proposal, *, now: datetime) -> Announcement:
    """An act waits for a second owner."""
    about, act = proposal.proposal_id, proposal.act.act
    data = ApprovalRequested(proposal_id=about, act=act, requested_by=proposal.proposed_by)
    return _of_application(APPROVAL_REQUESTED, data, tenant=tenant, about=tenant, now=now)


def approval_decided(tenant: UUID, proposal: Proposal, *, by: UUID, now: datetime) -> Announcement:
    """A proposal is approved, or refused."""
    about, act, asked_by = proposal.proposal_id, proposal.act.act, proposal.proposed_by
    if proposal.decided is Status.APPROVED:
        given = ApprovalGiven(proposal_id=about, act=act, requested_by=asked_by, given_by=by)
        return _of_application(APPROVAL_GIVEN, given, tenant=tenant, about=tenant, now=now)
    refused = ApprovalRefused(proposal_id=about, act=act, requested_by=asked_by, refused_by=by)
    return _of_application(APPROVAL_REFUSED, refused, tenant=tenant, about=tenant, now=now)


def subject_changed(
    tenant: UUID,
    subject: Unnamed,
    *,
    change: Change,
    now: datetime,
    changed_by: UUID | None = None,
) -> tuple[Announcement, ...]:
    """A subject is now like this, for this reason; what names the person is left out."""
    about, attributes = subject.subject_ref, subject.attributes
    fact = SubjectChanged(change=change, version=subject.version, changed_by=changed_by)
    state = SubjectState(
        subject_ref=about,
        version=subject.version,
        deleted=change is Change.DELETED,
        user_type=attributes.user_type,
        groups=attributes.groups,
        language=attributes.language,
    )
    return (
        _of_person(SUBJECT_CHANGED, fact, tenant=tenant, about=about, now=now),
        _of_person(SUBJECT_STATE, state, tenant=tenant, about=about, now=now),
    )


def subjects_imported(tenant: UUID, done: SubjectImport, *, now: datetime) -> Announcement:
    """An import came to its end, whether all of it was worked through or not."""
    counts = done.counts
    data = SubjectsImported(
        import_id=done.import_id,
        imported_by=done.author,
        complete=done.state is State.FINISHED,
        created=counts.created,
        updated=counts.updated,
        unchanged=counts.unchanged,
        refused=counts.refused,
    )
    return _of_application(SUBJECTS_IMPORTED, data, tenant=tenant, about=tenant, now=now)


def application_state(application: Application) -> ApplicationState:
    """Return an application as others may know it.

    A key that is not in it is refused like a revoked one: of those there are more with every
    change, and a state has to fit in a message.
    """
    return ApplicationState(
        application_id=application.application_id,
        version=application.version,
        deleted=False,
        name=application.name,
        keys=tuple(_published_key(key) for key in published_keys(application)),
        passkeys=application.passkeys,
    )


def policy_state(policy: Policy) -> PolicyState:
    """Return a policy as others may know it."""
    return PolicyState(
        application_id=policy.application_id,
        version=policy.version,
        deleted=False,
        requirement=policy.terms.requirement,
        factors=tuple(factor for factor in Factor if factor in policy.terms.factors),
        rules=policy.ruled.rules,
        rules_version=policy.ruled.version,
        rules_digest=policy.ruled.digest,
    )


def _published_key(key: Key) -> ApplicationKey:
    return ApplicationKey(
        key_id=key.key_id,
        digest=key.digest,
        scopes=tuple(scope for scope in Scope if scope in key.scopes),
        mode=key.mode,
        revoked=key.revoked,
        role=key.role,
    )


def _of_application(
    kind: EventType[Data], data: Data, *, tenant: UUID, about: UUID, now: datetime
) -> Announcement:
    event = about_application(kind, data, tenant=tenant, application_id=about, now=now)
    return kind.topic, event


def _of_person(
    kind: EventType[Data], data: Data, *, tenant: UUID, about: UUID, now: datetime
) -> Announcement:
    return kind.topic, about_person(kind, data, tenant=tenant, subject_ref=about, now=now)
