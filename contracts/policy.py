"""What policy publishes: current state for other services' copies, and the facts behind it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from contracts.decisions import Asked
from contracts.envelope import PUBLISHED, EventType
from contracts.passkeys import PasskeyParty
from contracts.roles import Role
from contracts.rules import Rule, RuleRequirement
from contracts.topics import APPLICATIONS, EVENTS, POLICIES, SUBJECTS
from contracts.vocabulary import Factor, KeyMode, Language, Requirement, Scope, Service


class PolicyState(BaseModel):
    """What one application asks, now: by the tenant's rules, and where none of them decides.

    `rules` are those that can be about this application, of version `rules_version` of the tenant's
    rules; `rules_digest` is SHA-256 of the whole of that version, in hex.
    """

    model_config = PUBLISHED
    application_id: UUID
    version: int
    deleted: bool
    requirement: Requirement
    factors: tuple[Factor, ...]
    rules: tuple[Rule, ...] = ()
    rules_version: int | None = None
    rules_digest: str | None = None

    @property
    def own_terms(self) -> Asked:
        """Return what is asked where no rule decides."""
        required = self.requirement is Requirement.REQUIRED
        asks = RuleRequirement.REQUIRED if required else RuleRequirement.OFF
        return Asked(asks, self.factors)


class SubjectState(BaseModel):
    """One subject's attributes, now; no contact data and no label."""

    model_config = PUBLISHED
    subject_ref: UUID
    version: int
    deleted: bool
    user_type: str | None
    groups: tuple[str, ...]
    language: Language


class ApplicationKey(BaseModel):
    """An application key as others may know it: `digest` is SHA-256 of the whole key, in hex.

    A key of a person has a `role`, and `scopes` that a reader of an earlier release understands.
    """

    model_config = PUBLISHED
    key_id: UUID
    digest: str
    scopes: tuple[Scope, ...]
    mode: KeyMode
    revoked: bool
    role: Role = Role.APPLICATION


class ApplicationState(BaseModel):
    """One application and its keys, now; without `passkeys` none can be enrolled for it."""

    model_config = PUBLISHED
    application_id: UUID
    version: int
    deleted: bool
    name: str
    keys: tuple[ApplicationKey, ...]
    passkeys: PasskeyParty | None = None

    @property
    def asks(self) -> bool:
        """Tell whether people log in here: a key in force may verify."""
        return any(Scope.VERIFY in key.scopes and not key.revoked for key in self.keys)


class Change(StrEnum):
    """What was done to a tenant, an application or a subject."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    KEY_ISSUED = "key_issued"
    KEY_REVOKED = "key_revoked"


class TenantChanged(BaseModel):
    """A tenant came or changed; `four_eyes` is its setting from now on.

    `mailboxes`: it now lets shared ones in, or not. `changed_by` is, here and below, the key that
    said so; only the operator has none.
    """

    model_config = PUBLISHED
    change: Change
    changed_by: UUID | None = None
    four_eyes: bool | None = None
    mailboxes: bool = False


class PolicyChanged(BaseModel):
    """An application now asks something else; `changed_by` is the key that said so."""

    model_config = PUBLISHED
    application_id: UUID
    version: int
    requirement: Requirement
    factors: tuple[Factor, ...]
    changed_by: UUID


class RulesPublished(BaseModel):
    """A version of a tenant's rules is in force now, instead of `replaced`, if there was one.

    A lower version than the one before is a roll-back. `published_by` is the key that said so; its
    reason stays with policy, because people write names into it.
    """

    model_config = PUBLISHED
    version: int
    digest: str
    replaced: int | None
    published_by: UUID


class EnforcementDue(BaseModel):
    """A rule will require a second step of those whom it is about; `days` are left at most."""

    model_config = PUBLISHED
    version: int
    digest: str
    rule: str
    starts: datetime
    days: int


class SubjectChanged(BaseModel):
    """A subject came, changed or went."""

    model_config = PUBLISHED
    change: Change
    version: int
    changed_by: UUID | None = None


class SubjectsImported(BaseModel):
    """An import of subjects came to its end; `imported_by` is the key that began it.

    Where it is not `complete` it was cancelled: what the counts say was done all the same.
    """

    model_config = PUBLISHED
    import_id: UUID
    imported_by: UUID
    complete: bool
    created: int
    updated: int
    unchanged: int
    refused: int


class ApplicationChanged(BaseModel):
    """An application or one of its keys came, changed or went."""

    model_config = PUBLISHED
    application_id: UUID
    change: Change
    key_id: UUID | None
    changed_by: UUID | None = None


class RulesWritten(BaseModel):
    """A version of a tenant's rules was written; it changes nothing before it is published."""

    model_config = PUBLISHED
    version: int
    digest: str
    written_by: UUID


POLICY_STATE = EventType(
    "mfa.policy", 1, Service.POLICY, POLICIES, PolicyState, "An application's policy as it now is."
)
SUBJECT_STATE = EventType(
    "mfa.subject", 1, Service.POLICY, SUBJECTS, SubjectState, "A subject as it now is."
)
APPLICATION_STATE = EventType(
    "mfa.application",
    1,
    Service.POLICY,
    APPLICATIONS,
    ApplicationState,
    "An application and its keys as they now are.",
)
TENANT_CHANGED = EventType(
    "mfa.tenant_changed", 1, Service.POLICY, EVENTS, TenantChanged, "A tenant came or changed."
)
POLICY_CHANGED = EventType(
    "mfa.policy_changed", 1, Service.POLICY, EVENTS, PolicyChanged, "A policy was changed."
)
RULES_PUBLISHED = EventType(
    "mfa.rules_published",
    1,
    Service.POLICY,
    EVENTS,
    RulesPublished,
    "Other rules of a tenant are in force.",
)
ENFORCEMENT_DUE = EventType(
    "mfa.enforcement_due",
    1,
    Service.POLICY,
    EVENTS,
    EnforcementDue,
    "A rule will soon require a second step.",
)
SUBJECT_CHANGED = EventType(
    "mfa.subject_changed", 1, Service.POLICY, EVENTS, SubjectChanged, "A subject was changed."
)
SUBJECTS_IMPORTED = EventType(
    "mfa.subjects_imported",
    1,
    Service.POLICY,
    EVENTS,
    SubjectsImported,
    "An import of subjects came to its end.",
)
APPLICATION_CHANGED = EventType(
    "mfa.application_changed",
    1,
    Service.POLICY,
    EVENTS,
    ApplicationChanged,
    "An application or one of its keys was changed.",
)
RULES_WRITTEN = EventType(
    "mfa.rules_written",
    1,
    Service.POLICY,
    EVENTS,
    RulesWritten,
    "A version of a tenant's rules was written.",
)
