"""What is public about an authenticator of each factor, and how it lies in columns."""

from dataclasses import dataclass
from typing import NamedTuple

from contracts.vocabulary import Algorithm
from services.enrollment.domain.hotp import Hotp
from services.enrollment.domain.totp import Totp


@dataclass(frozen=True)
class Pin:
    """How many digits a PIN has."""

    digits: int


Parameters = Totp | Hotp | Pin | None
"""Of the other factors there is nothing public to say."""


class Columns(NamedTuple):
    """Parameters as they are stored: what a factor has not is empty."""

    algorithm: Algorithm | None = None
    digits: int | None = None
    period: int | None = None
    counter: int | None = None


def columns_of(parameters: Parameters) -> Columns:
    """Return how parameters are stored."""
    match parameters:
        case Totp(algorithm, digits, period):
            return Columns(algorithm, digits, period=period)
        case Hotp(algorithm, digits, counter):
            return Columns(algorithm, digits, counter=counter)
        case Pin(digits):
            return Columns(digits=digits)
        case None:
            return Columns()


def parameters_of(stored: Columns) -> Parameters:
    """Return what was stored."""
    match stored:
        case Columns(algorithm=None, digits=None):
            return None
        case Columns(algorithm=None, digits=int(digits)):
            return Pin(digits)
        case Columns(algorithm=Algorithm() as algorithm, digits=int(digits), period=int(period)):
            return Totp(algorithm, digits, period)
        case Columns(algorithm=Algorithm() as algorithm, digits=int(digits), counter=int(counter)):
            return Hotp(algorithm, digits, counter)
        case _:
            raise ValueError("no factor has these parameters")
