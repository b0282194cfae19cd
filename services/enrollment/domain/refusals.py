"""The ways in which enrollment says no."""

from dataclasses import dataclass
from enum import Enum

from contracts.decisions import DisablingRefused


class Refusal(Enum):
    """What was asked cannot be done, and why."""

    UNKNOWN = "unknown"
    SUBJECT_UNKNOWN = "subject unknown"
    POLICY_UNKNOWN = "policy unknown"
    POLICY_UNREACHABLE = "policy unreachable"
    FACTOR_NOT_ALLOWED = "factor not allowed"
    TOO_MANY_AUTHENTICATORS = "too many authenticators"
    GONE = "gone"
    ALREADY_CONFIRMED = "already confirmed"
    CLAIMED_BY_ANOTHER = "claimed by another"


@dataclass(frozen=True)
class StaysOn:
    """The second step cannot be switched off, and why."""

    because: DisablingRefused


@dataclass(frozen=True)
class WrongCode:
    """The code did not confirm the enrollment, which allows so many more tries."""

    tries_left: int
