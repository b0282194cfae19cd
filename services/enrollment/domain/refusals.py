"""The ways in which enrollment says no."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from contracts.decisions import DisablingRefused


class Refusal(Enum):
    """What was asked cannot be done, and why."""

    UNKNOWN = "unknown"
    SUBJECT_UNKNOWN = "subject unknown"
    POLICY_UNKNOWN = "policy unknown"
    POLICY_UNREACHABLE = "policy unreachable"
    VERIFICATION_UNREACHABLE = "verification unreachable"
    FACTOR_NOT_ALLOWED = "factor not allowed"
    WEAK_PIN = "weak pin"
    TOKEN_UNKNOWN = "token unknown"  # noqa: S105 - the name of a refusal
    TOKEN_ASSIGNED = "token assigned"  # noqa: S105 - the name of a refusal
    SHARED_MAILBOX = "shared mailbox"
    NO_ADDRESS = "no address"
    EMAIL_CODE_REQUIRED = "email code required"
    EMAIL_CODE_GONE = "email code gone"
    PASSKEYS_NOT_SET_UP = "passkeys not set up"
    NO_NUMBER = "no number"
    NO_REGION = "no region"
    NUMBER_NOT_FOR_THIS = "number not for this"
    TOO_MANY_AUTHENTICATORS = "too many authenticators"
    NOT_PRESENT = "not present"
    RECEIPT_REFUSED = "receipt refused"
    MALFORMED_CODE = "malformed code"
    GONE = "gone"
    ALREADY_ENROLLED = "already enrolled"
    ALREADY_CONFIRMED = "already confirmed"
    CLAIMED_BY_ANOTHER = "claimed by another"


@dataclass(frozen=True)
class StaysOn:
    """The second step cannot be switched off, and why."""

    because: DisablingRefused


@dataclass(frozen=True)
class TooSoon:
    """So many codes were sent that the next one has to wait."""

    wait: timedelta


@dataclass(frozen=True)
class WrongCode:
    """The code did not hold; there are so many more tries."""

    tries_left: int


@dataclass(frozen=True)
class ProofRefused:
    """What the browser gave shows no passkey; there are so many more tries."""

    tries_left: int
