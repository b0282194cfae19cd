"""Request and response bodies of the public routes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.roles import SCOPES, Role
from contracts.subjects import SubjectName
from contracts.vocabulary import Factor, KeyMode, Language, Requirement, Scope
from services.policy.domain.policy import STANDARD_TERMS
from services.policy.domain.subject_text import Email, Groups, Label, Name

Scopes = Annotated[frozenset[Scope], Field(min_length=1)]

_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TenantBody(BaseModel):
    model_config = _STRICT
    name: Name


class TenantCreated(BaseModel):
    """The key is the first owner's and is shown this once."""

    tenant_id: UUID
    name: str
    application_id: UUID
    key: str


class TermsBody(BaseModel):
    model_config = _STRICT
    requirement: Requirement
    factors: frozenset[Factor]


class PolicyShown(BaseModel):
    application_id: UUID
    version: int
    requirement: Requirement
    factors: list[Factor]


class KeyBody(BaseModel):
    """`holder` is the subject_ref of whom a key is that has another role than application."""

    model_config = _STRICT
    scopes: Scopes = frozenset({Scope.ENROLL, Scope.VERIFY})
    mode: KeyMode = KeyMode.TEST
    role: Role = Role.APPLICATION
    holder: UUID | None = None

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        persons = self.role is not Role.APPLICATION
        if persons and "scopes" in self.model_fields_set:
            raise ValueError("scopes are an application's to choose: a role has its own")
        if persons != (self.holder is not None):
            raise ValueError("every role but application needs a holder, and only these have one")
        return self

    @property
    def may(self) -> frozenset[Scope]:
        """Return the scopes of the key."""
        return SCOPES.get(self.role, self.scopes)


class ApplicationBody(KeyBody):
    """An application and its first key."""

    name: Name
    policy: TermsBody = TermsBody(
        requirement=STANDARD_TERMS.requirement, factors=STANDARD_TERMS.factors
    )


class KeyShown(BaseModel):
    key_id: UUID
    scopes: list[Scope]
    mode: KeyMode
    revoked: bool
    role: Role
    holder: UUID | None


class KeyIssued(BaseModel):
    """The key is shown this once."""

    application_id: UUID
    key_id: UUID
    key: str
    scopes: list[Scope]
    mode: KeyMode
    role: Role
    holder: UUID | None


class ApplicationCreated(KeyIssued):
    """The key is shown this once."""

    name: str
    policy: PolicyShown


class PasskeysShown(BaseModel):
    rp_id: str
    origins: list[str]


class ApplicationShown(BaseModel):
    application_id: UUID
    name: str
    created: datetime
    keys: list[KeyShown]
    policy: PolicyShown
    passkeys: PasskeysShown | None


class ApplicationList(BaseModel):
    applications: list[ApplicationShown]


class RevocationStatus(StrEnum):
    """Whether verification refuses the key already, or will when the event comes."""

    EFFECTIVE = "effective"
    PENDING = "pending"


class Revocation(BaseModel):
    status: RevocationStatus


class SubjectPatch(BaseModel):
    """What is left out stays as it is; null takes `email` and `user_type` away."""

    model_config = _STRICT
    email: Email | None = None
    label: Label | None = None
    user_type: Name | None = None
    groups: Groups | None = None
    language: Language | None = None

    @model_validator(mode="after")
    def _has_what_cannot_be_missing(self) -> Self:
        for name in ("label", "groups", "language"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


class SubjectSearch(BaseModel):
    model_config = _STRICT
    subject: SubjectName


class SubjectShown(BaseModel):
    subject_ref: UUID
    subject: str
    email: str | None
    label: str
    user_type: str | None
    groups: list[str]
    language: Language
    version: int
    created: datetime


class SubjectPage(BaseModel):
    """`next_cursor` is what to ask for the page after this one; null at the end."""

    subjects: list[SubjectShown]
    next_cursor: UUID | None
