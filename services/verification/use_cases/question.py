"""What is asked: one request to judge a code, and the digests that hide its words."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from libs.clock import Clock
from libs.sealing.data_keys import DataKeys
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest, request_digest
from services.verification.lookups import Name
from services.verification.reserve import CachedAuthenticator
from services.verification.settle import Idempotency, KnownCaller


class Attempt(msgspec.Struct, frozen=True):
    """One request to judge a code; `factors` are those that the application's policy allows.

    `next_code` is the one after `code`, to find a counter that has run far ahead.
    """

    caller: KnownCaller
    subject: str
    code: str
    authenticator_id: UUID | None
    idempotency_key: str | None
    factors: Sequence[str]
    traceparent: str | None = None
    next_code: str | None = None

    def may_use(self, one: CachedAuthenticator) -> bool:
        """Tell whether this authenticator may judge it, whatever its codes look like."""
        return self.authenticator_id in (None, one.authenticator_id) and one.factor in self.factors

    def __repr__(self) -> str:
        """Never show the code."""
        return f"Attempt({self.caller.application_id})"


class Question(msgspec.Struct, frozen=True):
    """An attempt, with the digests under which the tenant's key hides names and codes."""

    attempt: Attempt
    tenant: UUID
    name: Name
    idempotency: Idempotency | None
    now: datetime


async def question_of(attempt: Attempt, *, data_keys: DataKeys, clock: Clock) -> Question:
    """Return the attempt with its digests, under the tenant's key, and the time it came."""
    tenant = attempt.caller.tenant
    key = (await data_keys.newest(tenant=tenant, purpose=LOOKUP)).key
    return Question(
        attempt=attempt,
        tenant=tenant,
        name=Name(tenant, lookup_digest(key, attempt.subject)),
        idempotency=_idempotency(key, attempt),
        now=clock(),
    )


def _idempotency(key: bytes, attempt: Attempt) -> Idempotency | None:
    if attempt.idempotency_key is None:
        return None
    # Under the tenant's key: a code has so few bits that its plain digest would be the code.
    named = str(attempt.authenticator_id or "")
    return Idempotency(
        key=request_digest(key, attempt.idempotency_key),
        request=request_digest(key, attempt.subject, attempt.code, named, attempt.next_code or ""),
    )
