"""Request and response bodies of the public routes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from contracts.subjects import SubjectName
from contracts.vocabulary import Algorithm, Factor
from services.enrollment.domain import authenticator, enrollment
from services.enrollment.domain.name import LONGEST, is_name

# A body that is refused must not be quoted: it may hold a code or a name.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("white space outside, unseen characters or text that is not NFC")
    return text


Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=LONGEST),
    AfterValidator(_name),
]
Code = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6}$")]


class EnrollmentBody(BaseModel):
    """Who enrolls what; `name` is what the person calls it."""

    model_config = _STRICT
    subject: SubjectName
    factor: Literal[Factor.TOTP]
    name: Name | None = None


class EnrollmentStarted(BaseModel):
    """What to show the person, this once; `qr_png` is a data URI, `qr_svg` an inline element."""

    enrollment_id: UUID
    factor: Factor
    otpauth_uri: str
    key: str
    qr_png: str
    qr_svg: str
    expires_at: datetime
    algorithm: Algorithm
    digits: int
    period: int


class EnrollmentShown(BaseModel):
    """How an enrollment stands; `authenticator_id` is what it became."""

    enrollment_id: UUID
    factor: Factor
    status: enrollment.Status
    tries_left: int
    expires_at: datetime
    authenticator_id: UUID | None


class ConfirmationBody(BaseModel):
    """The code that the authenticator shows now."""

    model_config = _STRICT
    code: Code


class ConfirmationAnswer(BaseModel):
    """The authenticator counts from now on; the ticket is good for one recovery key."""

    authenticator_id: UUID
    factor: Factor
    recovery_ticket: str
    confirmed_at: datetime


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
