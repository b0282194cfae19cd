"""How an answer was judged."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

# RFC 8176 section 2; the application has seen to the first factor, we saw the second. A recovery
# code is a password that is good once: `otp` is "one-time password", of which HOTP and TOTP are two
# kinds that the RFC names, and nothing else in its list is nearer.
AMR = {"totp": ("otp",), "hotp": ("otp",), "pin": ("pin",), "recovery_code": ("otp",)}
ACR = "urn:watchword:acr:second-factor"


class Why(StrEnum):
    """Why a code was not accepted; only callers with verify:reasons hear it."""

    WRONG_CODE = "wrong_code"
    REPLAYED = "replayed"
    REVOKED = "revoked"
    OVER_LIMIT = "over_limit"
    NOTHING_ENROLLED = "nothing_enrolled"
    DENIED = "denied"
    BUDGET = "budget"
    LOCKED = "locked"
    WAITING = "waiting"
    LIMIT = "limit"
    TOO_MANY_AT_ONCE = "too_many_at_once"
    AFTER_FAILOVER = "after_failover"


# Why a code was refused that was looked at.
EVALUATED = frozenset((Why.WRONG_CODE, Why.REPLAYED, Why.REVOKED, Why.OVER_LIMIT))


def why_lost(spent: bool | None) -> Why:
    """Return why a code that matched was not accepted; `spent` is None where nothing counts."""
    if spent is None:
        return Why.REVOKED
    return Why.REPLAYED if spent else Why.OVER_LIMIT


@dataclass(frozen=True)
class Accepted:
    """The code was right, and is now spent."""

    event_id: UUID
    authenticator_id: UUID
    factor: str
    at: datetime
    # Of the policy that allowed the factor; known only where a receipt has to say it.
    policy_version: int | None = None

    @property
    def amr(self) -> tuple[str, ...]:
        """Return the authentication methods (RFC 8176)."""
        return AMR[self.factor]


@dataclass(frozen=True)
class Refused:
    """The code was not accepted; `wait` says when trying again may help."""

    why: Why
    wait: timedelta | None = None


@dataclass(frozen=True)
class KeyReused:
    """The Idempotency-Key was used for another request before."""


@dataclass(frozen=True)
class CallerChanged:
    """The application is not what this process took it for; nothing was judged."""


@dataclass(frozen=True)
class PersonChanged:
    """The subject is not what the copy said; nothing was judged, and it is read again."""


Outcome = Accepted | Refused | KeyReused | CallerChanged
