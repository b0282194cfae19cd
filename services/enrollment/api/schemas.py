"""Request and response bodies of the public routes."""

from base64 import b32decode
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from contracts.subjects import SubjectName
from contracts.vocabulary import Algorithm, Factor
from services.enrollment.domain import authenticator, enrollment
from services.enrollment.domain.hotp import Hotp
from services.enrollment.domain.name import LONGEST, is_name
from services.enrollment.domain.otp import SHORTEST_SECRET
from services.enrollment.domain.wishes import (
    Choice,
    ChosenPin,
    NewCodes,
    NewKey,
    Phone,
    TokenSeed,
    TokenSerial,
)

# A body that is refused must not be quoted: it may hold a code or a name.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("white space outside, unseen characters or text that is not NFC")
    return text


def _seed(text: str) -> str:
    if len(read_seed(text)) < SHORTEST_SECRET:
        raise ValueError("shorter than 128 bits")
    return text


def read_seed(text: str) -> bytes:
    """Return the bytes of a seed in base32 without padding."""
    return b32decode(text + "=" * (-len(text) % 8))


Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=LONGEST),
    AfterValidator(_name),
]
Code = Annotated[
    str,
    StringConstraints(
        strict=True,
        pattern=r"^([0-9]{6,10}|[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5})$",
    ),
]
SixDigits = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6}$")]
Serial = Annotated[str, StringConstraints(strict=True, pattern=r"^[!-~]{1,100}$")]
Seed = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[A-Z2-7]{26,104}$"),
    AfterValidator(_seed),
]


class _Somebody(BaseModel):
    """Who enrolls something; `name` is what the person calls it.

    `email_code` is what came to the login address, where the rules ask for it.
    """

    model_config = _STRICT
    subject: SubjectName
    name: Name | None = None
    email_code: SixDigits | None = None


class TotpBody(_Somebody):
    """An authenticator app, with a key that is made here; or a token in stock, by its `serial`."""

    factor: Literal[Factor.TOTP]
    serial: Serial | None = None

    @property
    def choice(self) -> Choice:
        """Return what is to be enrolled."""
        return TokenSerial(self.serial) if self.serial is not None else NewKey()


class HotpBody(_Somebody):
    """A token in stock, by its `serial`; or by its seed in base32, and its next code's counter."""

    factor: Literal[Factor.HOTP]
    serial: Serial | None = None
    seed: Seed | None = None
    counter: Annotated[int, Field(strict=True, ge=0, lt=2**48)] = 0
    digits: Annotated[int, Field(strict=True, ge=6, le=8)] = 6
    algorithm: Algorithm = Algorithm.SHA1

    @property
    def choice(self) -> Choice:
        """Return what is to be enrolled."""
        if self.seed is None:
            return TokenSerial(self.serial or "")
        parameters = Hotp(self.algorithm, self.digits, self.counter)
        return TokenSeed(read_seed(self.seed), parameters)

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if (self.serial is None) == (self.seed is None):
            raise ValueError("either serial or seed")
        if self.serial is not None and self.model_fields_set & {"counter", "digits", "algorithm"}:
            raise ValueError("what a token in stock is like is known")
        return self


class PinBody(_Somebody):
    """A PIN; it is confirmed by typing it a second time."""

    factor: Literal[Factor.PIN]
    pin: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6,10}$")]

    @property
    def choice(self) -> Choice:
        """Return what is to be enrolled."""
        return ChosenPin(self.pin)


class PhoneBody(_Somebody):
    """A telephone; a number without a country code is one of `region` (ISO 3166-1, as NL)."""

    factor: Literal[Factor.SMS, Factor.VOICE]
    number: Annotated[str, StringConstraints(strict=True, min_length=4, max_length=32)]
    region: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{2}$")] | None = None

    @property
    def choice(self) -> Choice:
        """Return what is to be enrolled."""
        return Phone(self.number, self.region)


class RecoveryCodeBody(_Somebody):
    """A card of ten codes; it is confirmed by one of them, which is spent by that."""

    factor: Literal[Factor.RECOVERY_CODE]

    @property
    def choice(self) -> Choice:
        """Return what is to be enrolled."""
        return NewCodes()


EnrollmentBody = Annotated[
    TotpBody | HotpBody | PinBody | PhoneBody | RecoveryCodeBody, Field(discriminator="factor")
]


class EnrollmentStarted(BaseModel):
    """What to show the person, this once; what a factor does not have is left out.

    totp: the URI, the key to type, the QR code as a data URI and as an inline element.
    recovery_code: the codes. sms, voice: where a code was sent, and when another one may be.
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


class ConfirmationBody(BaseModel):
    """The proof: the code shown now, or the PIN again, or one of the codes.

    A token whose button was often pressed for nothing needs two codes in a row.
    """

    model_config = _STRICT
    code: Code
    next_code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6,8}$")] | None = None


class ConfirmationAnswer(BaseModel):
    """The authenticator counts from now on; the ticket is good for one recovery key.

    `presence` is a receipt for `Watchword-Receipt`, good once within ten minutes, to enroll a
    second method at once: that is advised where this is the only one.
    """

    authenticator_id: UUID
    factor: Factor
    recovery_ticket: str
    confirmed_at: datetime
    presence: str
    second_method_advised: bool


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
