"""Recovery's calls to other services, and the tickets that enrollment signs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jwt import JWTClaimsRegistry

from contracts.internal import (
    APPLY_RESET,
    RESOLVE_SUBJECT,
    ApplyReset,
    Done,
    ResolvedSubject,
    ResolveSubject,
)
from contracts.vocabulary import Service
from libs.sealing.letter import LetterBox
from libs.web.internal_client import InternalClient, Refused

TICKET_AUDIENCE = "recovery-ticket"
_ALGORITHM = "Ed25519"


@dataclass(frozen=True)
class Ticket:
    """What enrollment says: this subject has just confirmed an authenticator."""

    ticket_id: str
    tenant: UUID
    subject_ref: UUID
    issued: datetime
    expires: datetime


@dataclass(frozen=True)
class Tickets:
    """Reads tickets under enrollment's public key (JWT, RFC 7519; Ed25519, RFC 9864)."""

    public_key: OKPKey

    def read(self, text: str, *, tenant: UUID, now: datetime) -> Ticket | None:
        """Return the ticket, or None where it is not one of this tenant's that is still good."""
        try:
            claims = jwt.decode(text, self.public_key, algorithms=[_ALGORITHM]).claims
            _registry(int(now.timestamp())).validate(claims)
            ticket = Ticket(
                ticket_id=str(claims["jti"]),
                tenant=UUID(claims["tenant"]),
                subject_ref=UUID(claims["sub"]),
                issued=datetime.fromtimestamp(claims["iat"], UTC),
                expires=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except (JoseError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
            return None
        return ticket if ticket.tenant == tenant else None


@dataclass(frozen=True)
class KnownSubject:
    """Whom the application means, and what they are; `groups` is None where nobody said so."""

    subject_ref: UUID
    user_type: str | None
    groups: Sequence[str] | None


@dataclass(frozen=True)
class Owners:
    """The services that own what a recovery needs; calls raise Unreachable or Refused."""

    policy: InternalClient
    enrollment: InternalClient

    async def resolve(self, tenant: UUID, subject: str) -> KnownSubject | None:
        """Return whom the application means, or None for a stranger."""
        question = ResolveSubject(tenant=tenant, subject=subject, public_key=LetterBox().public_key)
        try:
            answer = await self.policy.post(RESOLVE_SUBJECT.path, question.model_dump(mode="json"))
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        found = ResolvedSubject.model_validate(answer)
        return KnownSubject(found.subject_ref, found.user_type, found.groups)

    async def apply_reset(self, tenant: UUID, subject: UUID, *, reset_id: UUID) -> bool:
        """Have all authenticators removed; True once verification accepts none of them."""
        body = ApplyReset(tenant=tenant, subject_ref=subject, reset_id=reset_id)
        answer = await self.enrollment.post(APPLY_RESET.path, body.model_dump(mode="json"))
        return Done.model_validate(answer).effective


def _registry(now: int) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=now,
        leeway=5,
        iss={"essential": True, "value": Service.ENROLLMENT.value},
        aud={"essential": True, "value": TICKET_AUDIENCE},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
