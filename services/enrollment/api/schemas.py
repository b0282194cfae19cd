"""Request and response bodies of the public routes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from contracts.subjects import SubjectName
from contracts.vocabulary import Algorithm, Factor
from services.enrollment.api.wishes import Name
from services.enrollment.domain import authenticator, enrollment

# A body that is refused must not be quoted: it may hold a code or a name.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class EnrollmentStarted(BaseModel):
    """What to show the person, this once; what a factor does not have is left out.

    totp: the URI, the key to type, the QR code as a data URI and as an inline element.
    recovery_code: the codes. sms, voice: where a code was sent, and when another one may be.
    passkey: what `PublicKeyCredential.parseCreationOptionsFromJSON` takes.
    """

    enrollment_id: UUID
    factor: Factor
    expires_at: datetime
    algorithm: Algorithm | None = None
    digits: int | None = None
    period: int | None = None
    otpauth_uri: str | None = None
    key: str | None = None
    qr_png: str | None = None
    qr_svg: str | None = None
    codes: tuple[str, ...] | None = None
    sent_to: str | None = None
    public_key: Mapping[str, object] | None = None
    next_code_after: datetime | None = None
    shared_mailbox: bool | None = None


class CodeSent(BaseModel):
    """A code is on its way; another one may be asked for from `next_code_after` on."""

    expires_at: datetime
    next_code_after: datetime


class EnrollmentShown(BaseModel):
    """How an enrollment stands; `authenticator_id` is what it became."""

    enrollment_id: UUID
    factor: Factor
    status: enrollment.Status
    tries_left: int
    expires_at: datetime
    authenticator_id: UUID | None


class ConfirmationAnswer(BaseModel):
    """The authenticator counts from now on; the ticket is good for one recovery key.

    `presence` is a receipt for `Watchword-Receipt`, good once within ten minutes, to enroll a
    second method at once: that is advised where this is the only one. `replaced`: whether the PIN,
    or the codes, in whose place these are is accepted no more.
    """

    authenticator_id: UUID
    factor: Factor
    recovery_ticket: str
    confirmed_at: datetime
    presence: str
    second_method_advised: bool
    replaced: Literal["effective", "pending"] | None


class HandoverShown(BaseModel):
    """For the other device: `link_token` for a link, or `code`, typed with the subject's name."""

    link_token: str
    code: str
    expires_at: datetime


class ContinuationBody(BaseModel):
    """The token of a link that was opened, or the code that was typed, with the subject's name."""

    model_config = _STRICT
    link_token: (
        Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{22}$")] | None
    ) = None
    subject: SubjectName | None = None
    code: (
        Annotated[
            str,
            StringConstraints(
                strict=True, pattern=r"^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$"
            ),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_code = (self.subject is not None, self.code is not None)
        if by_code != ((False, False) if self.link_token is not None else (True, True)):
            raise ValueError("either link_token, or subject and code")
        return self


class NameBody(BaseModel):
    """What the person calls it from now on; null for nothing."""

    model_config = _STRICT
    name: Name | None


class AuthenticatorSearch(BaseModel):
    """Whose authenticators?"""

    model_config = _STRICT
    subject: SubjectName


class AuthenticatorShown(BaseModel):
    """`removing`: it is removed, but verification has not confirmed that it knows."""

    authenticator_id: UUID
    factor: Factor
    name: str | None
    status: authenticator.Status
    enrolled_at: datetime


class AuthenticatorList(BaseModel):
    """All that are not removed for good."""

    authenticators: list[AuthenticatorShown]


class Removal(BaseModel):
    """`effective`: nothing of it is accepted any more; `pending`: soon, ask again."""

    status: Literal["effective", "pending"]
