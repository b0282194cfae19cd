"""How an answer was judged."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

# RFC 8176; the application has seen to the first factor, we saw the second.
AMR = {"totp": ("otp",)}
ACR = "urn:watchword:acr:second-factor"


class Why(StrEnum):
    """Why a code was not accepted; only callers with verify:reasons hear it."""

    WRONG_CODE = "wrong_code"
    REPLAYED = "replayed"
    REVOKED = "revoked"
    OVER_LIMIT = "over_limit"
    NOTHING_ENROLLED = "nothing_enrolled"
    BUDGET = "budget"
    LOCKED = "locked"


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


Outcome = Accepted | Refused | KeyReused | CallerChanged
