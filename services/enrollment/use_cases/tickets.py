"""The ticket with which the client asks recovery for a recovery key, once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from joserfc import jwt

from contracts.vocabulary import Service
from libs.web.identity import Identity
from services.enrollment.domain.enrollment import Enrollment

# No service has this name, so a ticket is good for nothing on an internal route.
AUDIENCE = "recovery-ticket"
LIFETIME = timedelta(hours=1)
_ALGORITHM = "Ed25519"


@dataclass(frozen=True)
class Tickets:
    """Signs tickets with enrollment's own key (JWT, RFC 7519; Ed25519, RFC 9864)."""

    identity: Identity

    def issue(self, tenant: UUID, enrollment: Enrollment, *, at: datetime) -> str:
        """Return the ticket of an enrollment that was confirmed `at`.

        All of it comes from the confirmation, so that asking again gives the same ticket, which
        recovery takes once: `jti` is the enrollment's id. `iat` has fractions of a second, by which
        recovery tells it from a ticket of before a reset.
        """
        claims = {
            "iss": Service.ENROLLMENT.value,
            "aud": AUDIENCE,
            "sub": str(enrollment.subject_ref),
            "tenant": str(tenant),
            "authenticator": str(enrollment.authenticator_id),
            "jti": str(enrollment.enrollment_id),
            "iat": at.timestamp(),
            "exp": int((at + LIFETIME).timestamp()),
        }
        key = self.identity.private_key
        return jwt.encode({"alg": _ALGORITHM}, claims, key, algorithms=[_ALGORITHM])
