"""What enrollment signs when an enrollment is confirmed: tickets for what comes next, each once."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from joserfc import jws, jwt

from contracts.vocabulary import Service
from libs.web.identity import Identity
from services.enrollment.domain import presence
from services.enrollment.domain.enrollment import Enrollment

# No service has this name, so a ticket is good for nothing on an internal route.
AUDIENCE = "recovery-ticket"
LIFETIME = timedelta(hours=1)
_ALGORITHM = "Ed25519"


@dataclass(frozen=True)
class Tickets:
    """Signs with enrollment's own key (JWT, RFC 7519; Ed25519, RFC 9864).

    All of a ticket comes from the confirmation, so that asking again gives the same one: `jti` is
    the enrollment's id.
    """

    identity: Identity

    def issue(self, tenant: UUID, enrollment: Enrollment, *, at: datetime) -> str:
        """Return the ticket with which recovery makes one recovery key.

        `iat` has fractions of a second, by which recovery tells it from one of before a reset.
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

    def presence(self, enrollment: Enrollment, *, at: datetime) -> str:
        """Return the proof that the person was present: they have just shown a new factor."""
        claims = {
            "iss": Service.ENROLLMENT.value,
            "aud": str(enrollment.application_id),
            "authenticator": str(enrollment.authenticator_id),
            "jti": str(enrollment.enrollment_id),
            "iat": int(at.timestamp()),
            "exp": int((at + presence.LIFETIME).timestamp()),
        }
        header = {"alg": _ALGORITHM, "typ": presence.CONFIRMATION_TYPE}
        key = self.identity.private_key
        return jws.serialize_compact(
            header, json.dumps(claims).encode(), key, algorithms=[_ALGORITHM]
        )
