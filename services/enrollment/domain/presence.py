"""Proof that a person is present: a factor of theirs was accepted here, minutes ago.

Two say so: a receipt of verification, or what enrollment itself signed when it was confirmed. Both
are good once (NIST SP 800-63B-4 section 4.1.2, OWASP ASVS 7.5.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

RECEIPT_TYPE = "watchword-receipt+jwt"
CONFIRMATION_TYPE = "watchword-presence+jwt"
LIFETIME = timedelta(minutes=10)
# Clocks of two of our own nodes differ by less (docs/adr/0015).
_SKEW = timedelta(seconds=30)


@dataclass(frozen=True)
class Presence:
    """What was shown: its id, for taking it once, and which authenticator was used."""

    presence_id: UUID
    authenticator_id: UUID
    expires: datetime


def presence_of(
    claims: Mapping[str, object], application_id: UUID, *, now: datetime
) -> Presence | None:
    """Return what signed claims show, or None where they are for others or too old."""
    try:
        audience = UUID(str(claims["aud"]))
        shown = Presence(
            presence_id=UUID(str(claims["jti"])),
            authenticator_id=UUID(str(claims["authenticator"])),
            expires=_moment(claims["exp"]),
        )
        issued = _moment(claims["iat"])
    except (KeyError, ValueError, OverflowError):
        return None
    is_fresh = issued - _SKEW <= now < min(shown.expires, issued + LIFETIME)
    # A remembered device is no factor, whatever else is said of it.
    stands = audience == application_id and not claims.get("remembered")
    return shown if is_fresh and stands else None


def _moment(number: object) -> datetime:
    if not isinstance(number, int | float):
        raise ValueError("not a time")
    return datetime.fromtimestamp(number, UTC)
