"""Receipts: an accepted outcome, signed, that anybody with the public keys can check.

JSON Web Signature (RFC 7515) with Ed25519 (RFC 9864). Everything in a receipt comes from the stored
answer and from the request, and the signature is deterministic: made again, it is the same bytes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from joserfc import jws
from joserfc.jwk import OKPKey

from services.verification.domain.outcome import ACR, Accepted

ALGORITHM = "Ed25519"
# No token of another kind passes for a receipt (RFC 8725 section 3.11).
TYPE = "watchword-receipt+jwt"
LIFETIME = timedelta(minutes=5)
# NIST SP 800-63B-4: with the first factor, which the application has seen to.
_AAL = 2

# Whoever keeps a copy of the public keys has this long to fetch a new one before it signs.
PUBLISHED_BEFORE = timedelta(days=1)
SIGNS_FOR = timedelta(days=30)
# Longer than the last receipt is good for, and than its answer may be repeated.
KEPT_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class SigningKey:
    """A key pair, and since when it signs; the next one's time ends its own."""

    signs_from: datetime
    pair: OKPKey

    @cached_property
    def key_id(self) -> str:
        """Return the thumbprint of the public key (RFC 7638)."""
        return self.pair.thumbprint()

    def public(self) -> dict[str, str | list[str]]:
        """Return what may be published (RFC 7517)."""
        named = {"kid": self.key_id, "use": "sig", "alg": ALGORITHM}
        return {**self.pair.as_dict(private=False), **named}


@dataclass(frozen=True)
class Occasion:
    """For which application a receipt is, about whom in its own words, and its nonce."""

    issuer: str
    application_id: UUID
    subject: str
    nonce: str


def key_at(keys: Sequence[SigningKey], at: datetime) -> SigningKey:
    """Return the key that signs what happened then; `keys` are in the order of their times.

    The time of the outcome decides and not that of the signing, so that a repeat is alike.
    """
    begun = [key for key in keys if key.signs_from <= at]
    return begun[-1] if begun else keys[0]


def receipt_of(accepted: Accepted, occasion: Occasion, keys: Sequence[SigningKey]) -> str:
    """Return the signed receipt of an outcome."""
    key = key_at(keys, accepted.at)
    header = {"alg": ALGORITHM, "kid": key.key_id, "typ": TYPE}
    payload = json.dumps(_claims(accepted, occasion), separators=(",", ":")).encode()
    return jws.serialize_compact(header, payload, key.pair, algorithms=[ALGORITHM])


def _claims(accepted: Accepted, occasion: Occasion) -> dict[str, object]:
    issued = int(accepted.at.timestamp())
    return {
        "iss": occasion.issuer,
        "aud": str(occasion.application_id),
        "sub": occasion.subject,
        "iat": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
        "jti": str(accepted.event_id),
        "nonce": occasion.nonce,
        "acr": ACR,
        "amr": accepted.amr,
        "aal": _AAL,
        "remembered": False,
        "authenticator": str(accepted.authenticator_id),
        "policy_version": accepted.policy_version,
    }
