"""What is asked: one request to judge a code, and the digests that hide its words."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from contracts.rules import Login, deciding_rule, factors_for
from libs.clock import Clock
from libs.sealing.data_keys import DataKeys
from services.verification.domain.coarse import Limits, limit_of, place_of
from services.verification.domain.decision import Policy
from services.verification.domain.outcome import Accepted, CallerChanged, KeyReused, Why
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import DIGEST_LENGTH, lookup_digest, request_digest
from services.verification.entries import Idempotency, KnownCaller
from services.verification.lookups import Name, StoredAnswer
from services.verification.reserve import Bucket, CachedAuthenticator, Copy


class NamedLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit of the caller's own: so many wrong codes in so many seconds, under a name."""

    name: str
    guesses: int
    seconds: int


class Attempt(msgspec.Struct, frozen=True):
    """One request to judge a code; `policy` says which factors are good for it.

    `nonce` and `remember` ask for a receipt and a remembered device beside the answer.
    `next_code` is the one after `code`, to find a counter that has run far ahead.
    """

    caller: KnownCaller
    subject: str
    code: str
    authenticator_id: UUID | None
    idempotency_key: str | None
    policy: Policy
    traceparent: str | None = None
    nonce: str | None = None
    remember: bool = False
    next_code: str | None = None
    source: str | None = None
    limits: Sequence[NamedLimit] = ()

    def usable(self, copy: Copy, subject: UUID, at: datetime) -> Sequence[CachedAuthenticator]:
        """Return the authenticators that may judge it, whatever their codes look like."""
        factors = self._factors(copy, subject, at)
        return [
            one
            for one in copy.authenticators
            if self.authenticator_id in (None, one.authenticator_id) and one.factor in factors
        ]

    def why_nothing(self, copy: Copy, subject: UUID, at: datetime) -> Why:
        """Return why nothing of a subject may judge it."""
        rule = deciding_rule(self.policy.rules, self._login(copy, subject), at)
        return Why.DENIED if rule is not None and rule.denied else Why.NOTHING_ENROLLED

    def _factors(self, copy: Copy, subject: UUID, at: datetime) -> Sequence[str]:
        if not self.policy.rules:
            return self.policy.factors
        login = self._login(copy, subject)
        # Who is asked for nothing may still be asked by the application, for something delicate.
        return factors_for(self.policy.rules, login, at, otherwise=self.policy.factors)

    def _login(self, copy: Copy, subject: UUID) -> Login:
        application = self.caller.application_id
        return Login(application, subject, copy.user_type, copy.groups, known=copy.known)

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
    buckets: Sequence[Bucket]


async def question_of(
    attempt: Attempt, *, data_keys: DataKeys, clock: Clock, limits: Limits
) -> Question:
    """Return the attempt with its digests, under the tenant's key, and the time it came."""
    tenant = attempt.caller.tenant
    key = (await data_keys.newest(tenant=tenant, purpose=LOOKUP)).key
    return Question(
        attempt=attempt,
        tenant=tenant,
        name=Name(tenant, lookup_digest(key, attempt.subject)),
        idempotency=_idempotency(key, attempt),
        now=clock(),
        buckets=_buckets(attempt, limits, key),
    )


def _buckets(attempt: Attempt, limits: Limits, key: bytes) -> Sequence[Bucket]:
    caller = attempt.caller
    buckets = [
        Bucket(f"t/{caller.tenant}", limits.tenant),
        Bucket(f"a/{caller.tenant}/{caller.application_id}", limits.application),
    ]
    # Under the tenant's key: no address and no word of a caller lies in Redis.
    if attempt.source is not None:
        digest = request_digest(key, "source", place_of(attempt.source)).hex()
        buckets.append(Bucket(f"s/{caller.tenant}/{digest}", limits.source))
    for own in attempt.limits:
        digest = request_digest(key, "limit", str(caller.application_id), own.name).hex()
        buckets.append(Bucket(f"n/{caller.tenant}/{digest}", limit_of(own.guesses, own.seconds)))
    return buckets


def _idempotency(key: bytes, attempt: Attempt) -> Idempotency | None:
    if attempt.idempotency_key is None:
        return None
    # Under the tenant's key: a code has so few bits that its plain digest would be the code.
    named = str(attempt.authenticator_id or "")
    asked = [attempt.subject, attempt.code, named, attempt.next_code or ""]
    if attempt.nonce is not None or attempt.remember:
        asked += [attempt.nonce or "", str(attempt.remember)]
    return Idempotency(
        key=request_digest(key, attempt.idempotency_key),
        request=request_digest(key, *asked) + _said_again(attempt),
    )


def _said_again(attempt: Attempt) -> bytes:
    # A receipt names the policy's version, which may be another one when the repeat comes.
    return attempt.policy.version.to_bytes(8, "big") if attempt.nonce is not None else b""


def first_answer(first: StoredAnswer, asked: Idempotency) -> Accepted | KeyReused | CallerChanged:
    """Return what the first request was answered, if this one is its repeat."""
    if not first.caller_is_known:
        # Its key may have been revoked a moment ago.
        return CallerChanged()
    if first.request[:DIGEST_LENGTH] != asked.request[:DIGEST_LENGTH]:
        return KeyReused()
    said_again = first.request[DIGEST_LENGTH:]
    return Accepted(
        event_id=first.event_id,
        authenticator_id=first.authenticator_id,
        factor=first.factor,
        at=first.at,
        policy_version=int.from_bytes(said_again, "big") if said_again else None,
    )
