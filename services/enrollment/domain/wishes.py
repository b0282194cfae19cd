"""What somebody may ask to enroll."""

from dataclasses import dataclass, field

from contracts.vocabulary import Factor
from services.enrollment.domain.hotp import Hotp


@dataclass(frozen=True)
class NewKey:
    """A key that is made here, for an authenticator app."""


@dataclass(frozen=True)
class TokenSeed:
    """The seed of a hardware token, which its holder has."""

    secret: bytes = field(repr=False)
    parameters: Hotp


@dataclass(frozen=True)
class ChosenPin:
    """A PIN that the person chose; typing it again confirms it."""

    pin: str = field(repr=False)


@dataclass(frozen=True)
class NewCodes:
    """A set of recovery codes, made here."""


Choice = NewKey | TokenSeed | ChosenPin | NewCodes


@dataclass(frozen=True)
class Wish:
    """What an application asks to enroll for whom; `receipt` shows that the person is present."""

    subject: str = field(repr=False)
    factor: Factor
    choice: Choice
    name: str | None = field(repr=False)
    receipt: str | None = field(default=None, repr=False)
