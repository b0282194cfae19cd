"""What somebody wants to enroll: one body for each factor."""

from base64 import b32decode
from typing import Annotated, Literal, Self

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
from services.enrollment.domain.hotp import Hotp
from services.enrollment.domain.name import LONGEST, is_name
from services.enrollment.domain.otp import SHORTEST_SECRET
from services.enrollment.domain.wishes import (
    Choice,
    ChosenPin,
    NewCodes,
    NewKey,
    NewPasskey,
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
    email_code: SixDigits | None = Field(default=None, repr=False)


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
    seed: Seed | None = Field(default=None, repr=False)
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
    pin: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6,10}$"), Field(repr=False)]

    @property
    def choice(self) -> Choice:
        """Return what is to be enrolled."""
        return ChosenPin(self.pin)


class PhoneBody(_Somebody):
    """A telephone; a number without a country code is one of `region` (ISO 3166-1, as NL)."""

    factor: Literal[Factor.SMS, Factor.VOICE]
    number: Annotated[
        str, StringConstraints(strict=True, min_length=4, max_length=32), Field(repr=False)
    ]
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


class PasskeyBody(_Somebody):
    """A passkey; the person's browser makes it of what is answered."""

    factor: Literal[Factor.PASSKEY]

    @property
    def choice(self) -> Choice:
        """Return what is to be enrolled."""
        return NewPasskey()


EnrollmentBody = Annotated[
    TotpBody | HotpBody | PinBody | PhoneBody | RecoveryCodeBody | PasskeyBody,
    Field(discriminator="factor"),
]
