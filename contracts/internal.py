"""Calls between services: paths, who may call them, bodies and answers.

What a letter carries (libs/sealing/letter.py) is sealed to the asker's key of that one call. A
claim names the claimer's own attempt: repeating it gives the same answer until it is acknowledged
or expires, any other attempt gets nothing. (A question that may be asked as often as one likes is
not called a claim, docs/adr/0009.)

Questions are read strictly: what the asker means and we do not know must not be left out. Answers
may say more than their reader knows, so that the service that answers can be of a later release.
"""

from dataclasses import dataclass
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.credentials import is_complete
from contracts.policy import ApplicationState
from contracts.subjects import Mailbox
from contracts.vocabulary import Algorithm, Factor, Language, Service

_STRICT = ConfigDict(frozen=True, extra="forbid")
_ANSWER = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True)
class InternalRoute:
    """One internal route: POST `path` of `service`, for `callers` only."""

    service: Service
    path: str
    callers: tuple[Service, ...]


RESOLVE_SUBJECT = InternalRoute(
    Service.POLICY, "/internal/subjects/resolve", (Service.ENROLLMENT, Service.RECOVERY)
)
RESOLVE_SUBJECTS = InternalRoute(
    Service.POLICY, "/internal/subjects/resolve-many", (Service.ENROLLMENT,)
)
NAME_SUBJECTS = InternalRoute(Service.POLICY, "/internal/subjects/names", (Service.VERIFICATION,))
CLAIM_CONTACT = InternalRoute(Service.POLICY, "/internal/contacts/claim", (Service.NOTIFICATION,))
ACKNOWLEDGE_CONTACT = InternalRoute(
    Service.POLICY, "/internal/contacts/acknowledge", (Service.NOTIFICATION,)
)
CLAIM_CREDENTIAL = InternalRoute(
    Service.ENROLLMENT, "/internal/credentials/claim", (Service.VERIFICATION,)
)
ACKNOWLEDGE_CREDENTIAL = InternalRoute(
    Service.ENROLLMENT, "/internal/credentials/acknowledge", (Service.VERIFICATION,)
)
CLAIM_CODE = InternalRoute(Service.ENROLLMENT, "/internal/codes/claim", (Service.NOTIFICATION,))
ACKNOWLEDGE_CODE = InternalRoute(
    Service.ENROLLMENT, "/internal/codes/acknowledge", (Service.NOTIFICATION,)
)
APPLY_RESET = InternalRoute(Service.ENROLLMENT, "/internal/resets", (Service.RECOVERY,))
REVOKE = InternalRoute(Service.VERIFICATION, "/internal/revocations", (Service.ENROLLMENT,))
RECEIPT_KEYS = InternalRoute(Service.VERIFICATION, "/internal/receipts/keys", (Service.ENROLLMENT,))
# Every service that lets applications in keeps its own copy of their keys.
PUSH_APPLICATION = tuple(
    InternalRoute(service, "/internal/applications", (Service.POLICY,))
    for service in (Service.VERIFICATION, Service.ENROLLMENT, Service.RECOVERY)
)
INTERNAL_ROUTES = (
    RESOLVE_SUBJECT,
    RESOLVE_SUBJECTS,
    NAME_SUBJECTS,
    CLAIM_CONTACT,
    ACKNOWLEDGE_CONTACT,
    CLAIM_CREDENTIAL,
    ACKNOWLEDGE_CREDENTIAL,
    CLAIM_CODE,
    ACKNOWLEDGE_CODE,
    APPLY_RESET,
    REVOKE,
    RECEIPT_KEYS,
    *PUSH_APPLICATION,
)


class ResolveSubject(BaseModel):
    """Who is this, whom the application knows as `subject`?"""

    model_config = _STRICT
    tenant: UUID
    subject: str
    public_key: str


class ResolvedSubject(BaseModel):
    """The answer; the letter holds `{"label": ...}` and its place is `resolve_place(...)`.

    404 where there is no such subject. `groups` is None where policy does not say attributes (of an
    earlier release): that is not to have none. The same is true of `mailbox`.
    """

    model_config = _ANSWER
    subject_ref: UUID
    language: Language
    letter: str
    user_type: str | None = None
    groups: tuple[str, ...] | None = None
    mailbox: Mailbox | None = None


class ResolveSubjects(BaseModel):
    """Who are these, whom applications know by these names? At most 500 at once."""

    model_config = _STRICT
    tenant: UUID
    subjects: tuple[str, ...]


class ResolvedSubjects(BaseModel):
    """The answer, in the order of the question; None where there is no such subject."""

    model_config = _ANSWER
    subject_refs: tuple[UUID | None, ...]


class NameSubjects(BaseModel):
    """What do applications call these subjects? At most 500 at once."""

    model_config = _STRICT
    tenant: UUID
    subject_refs: tuple[UUID, ...]
    public_key: str


class NamedSubjects(BaseModel):
    """The letter holds `{"names": {"<subject_ref>": "<subject>"}}`; unknown ones are left out."""

    model_config = _ANSWER
    letter: str


class ClaimContact(BaseModel):
    """Where is this person to be told of this event? Only the first attempt that asks hears it.

    `caused_by` is the event's id, `attempt_id` the id of the message that is stored for it.
    """

    model_config = _STRICT
    tenant: UUID
    subject_ref: UUID
    caused_by: UUID
    attempt_id: UUID
    public_key: str


class ClaimedContact(BaseModel):
    """The letter holds `{"email": ... or None, "language": ...}`.

    404 where there is no such subject (any more), 409 where another attempt has the claim, 410
    where it was acknowledged, or is older than a day.
    """

    model_config = _ANSWER
    letter: str


class AcknowledgeContact(BaseModel):
    """The message has ended; answer this claim no more. Repeating it is harmless."""

    model_config = _STRICT
    tenant: UUID
    caused_by: UUID
    attempt_id: UUID


class ClaimCredential(BaseModel):
    """Give me this credential; only the first attempt that asks ever gets it."""

    model_config = _STRICT
    tenant: UUID
    subject_ref: UUID
    authenticator_id: UUID
    attempt_id: UUID
    public_key: str


class ClaimedCredential(BaseModel):
    """The letter holds a Credential; 410 where it was removed, 409 where another attempt has it."""

    model_config = _ANSWER
    letter: str


class Credential(BaseModel):
    """What verification needs of an authenticator whose answers are codes.

    totp: the key as `secret` in base64, algorithm, digits, period in seconds. hotp: the same
    without a period. pin: the argon2id hash as `secret`, and how many digits the PIN has.
    recovery_code: `codes`. `last_step` is the step or counter of the code that confirmed the
    enrollment: it and all before it are spent; -1 where there was none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    factor: Factor
    epoch: int
    secret: str = ""
    algorithm: Algorithm | None = None
    digits: int | None = None
    period: int | None = None
    last_step: int = Field(default=-1, ge=-1, lt=2**53)
    codes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not is_complete(
            self.factor,
            self.secret,
            algorithm=self.algorithm,
            digits=self.digits,
            period=self.period,
            codes=self.codes,
        ):
            raise ValueError(f"not a credential of {self.factor}")
        return self

    def __repr__(self) -> str:
        """Never show the secret."""
        return f"Credential({self.factor})"


class AcknowledgeCredential(BaseModel):
    """I have stored the credential; forget your copy. Repeating it is harmless."""

    model_config = _STRICT
    tenant: UUID
    authenticator_id: UUID
    attempt_id: UUID


class ClaimCode(BaseModel):
    """What is to be sent for this event? Only the first attempt that asks hears it.

    `code_id` is the event's, `attempt_id` the id of the message that is stored for it.
    """

    model_config = _STRICT
    tenant: UUID
    subject_ref: UUID
    code_id: UUID
    attempt_id: UUID
    public_key: str


class ClaimedCode(BaseModel):
    """The letter holds `{"code": ..., "application": its name, "number": E.164, or None}`.

    `number` is None for an e-mail, whose address policy knows. 404 where there is no such code, 409
    where another attempt has the claim, 410 where it was acknowledged, replaced by a newer one,
    used, or is too old.
    """

    model_config = _ANSWER
    letter: str


class AcknowledgeCode(BaseModel):
    """The message has ended; answer this claim no more. Repeating it is harmless."""

    model_config = _STRICT
    tenant: UUID
    code_id: UUID
    attempt_id: UUID


class ApplyReset(BaseModel):
    """Remove all authenticators of this subject; repeating a `reset_id` changes nothing more."""

    model_config = _STRICT
    tenant: UUID
    subject_ref: UUID
    reset_id: UUID


class RevokedAuthenticator(BaseModel):
    """An authenticator that counts no more, and the epoch from which on it does not."""

    model_config = _STRICT
    authenticator_id: UUID
    factor: Factor
    epoch: int


class Revoke(BaseModel):
    """Accept nothing more of these authenticators; also ones whose credential never came."""

    model_config = _STRICT
    tenant: UUID
    subject_ref: UUID
    authenticators: tuple[RevokedAuthenticator, ...]
    reset_id: UUID | None


class AskReceiptKeys(BaseModel):
    """By which keys are receipts signed?"""

    model_config = _STRICT


class ReceiptKeys(BaseModel):
    """Public keys as JSON Web Keys (RFC 7517), each a JSON text with its `kid`."""

    model_config = _ANSWER
    keys: tuple[str, ...]


class PushApplication(BaseModel):
    """Take this newer state of an application now, before its event comes (a revoked key)."""

    model_config = _STRICT
    tenant: UUID
    state: ApplicationState


class Done(BaseModel):
    """It is committed (`effective`), or it will be made true by the event (not effective yet)."""

    model_config = _ANSWER
    effective: bool


def letter_place(route: InternalRoute, tenant: UUID, *ids: UUID | str) -> tuple[str, ...]:
    """Return what a letter is bound to: the route, the tenant and what the call asked for.

    resolve: the subject; names: nothing more; contact: subject_ref, attempt; credential:
    authenticator, attempt; code: code, attempt.
    """
    return (route.path, str(tenant), *(str(part) for part in ids))
