"""What somebody may ask to enroll, and what an enrollment is about then."""

from dataclasses import dataclass, field
from uuid import UUID

from contracts.vocabulary import Factor
from services.enrollment.domain.hotp import Hotp
from services.enrollment.domain.parameters import Parameters


@dataclass(frozen=True)
class NewKey:
    """A key that is made here, for an authenticator app."""


@dataclass(frozen=True)
class TokenSeed:
    """The seed of a hardware token, which its holder has."""

    secret: bytes = field(repr=False)
    parameters: Hotp


@dataclass(frozen=True)
class TokenSerial:
    """A hardware token in stock, by what is printed on it."""

    serial: str = field(repr=False)


@dataclass(frozen=True)
class ChosenPin:
    """A PIN that the person chose; typing it again confirms it."""

    pin: str = field(repr=False)


@dataclass(frozen=True)
class NewCodes:
    """A set of recovery codes, made here."""


@dataclass(frozen=True)
class Phone:
    """A telephone number as the person wrote it, and the country where it needs no code."""

    number: str = field(repr=False)
    region: str | None


@dataclass(frozen=True)
class NewPasskey:
    """A passkey, which the person's browser makes."""


Choice = NewKey | TokenSeed | TokenSerial | ChosenPin | NewCodes | Phone | NewPasskey


@dataclass(frozen=True)
class Wish:
    """What an application asks to enroll for whom.

    `receipt` shows that the person is present, `email_code` that the login address is theirs.
    """

    subject: str = field(repr=False)
    factor: Factor
    choice: Choice
    name: str | None = field(repr=False)
    receipt: str | None = field(default=None, repr=False)
    email_code: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Begun:
    """What an enrollment is about: the secret to seal, and what is public about it."""

    secret: bytes = field(repr=False)
    parameters: Parameters
    token_id: UUID | None = None
