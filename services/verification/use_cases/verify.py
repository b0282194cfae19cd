"""Judge a code: reserve, compute, settle, reply (DESIGN.md section 5)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.verification import FailureReason
from libs.clock import Clock
from libs.messaging.cloud_event import CloudEvent
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import key_version, open_seal
from libs.telemetry import current_traceparent
from services.verification import announcements
from services.verification.domain.outcome import Accepted, KeyReused, Outcome, Refused, Why
from services.verification.domain.places import CREDENTIAL, LOOKUP, credential_place
from services.verification.domain.subjects import lookup_digest, request_digest
from services.verification.domain.totp import TotpParameters, matching_step
from services.verification.reserve import CachedAuthenticator
from services.verification.settle import (
    Acceptance,
    AuthorityDown,
    Entry,
    Idempotency,
    Settled,
    Settler,
)
from services.verification.store import subjects as store
from services.verification.use_cases.guesses import Charged, Guesses
from services.verification.use_cases.refusals import Refusals

ANSWERS_KEPT = timedelta(minutes=15)
# Longer than settle may take, so that what is given up here was mostly not begun there.
_LONGEST = timedelta(seconds=5)


@dataclass(frozen=True)
class Attempt:
    """One request to judge a code; `factors` are those that the application's policy allows."""

    tenant: UUID
    application_id: UUID
    subject: str
    code: str
    authenticator_id: UUID | None
    idempotency_key: str | None
    factors: Sequence[str]

    def __repr__(self) -> str:
        """Never show the code."""
        return f"Attempt({self.application_id})"


@dataclass(frozen=True)
class _Paid:
    """An attempt with a known subject, whose guess is charged."""

    attempt: Attempt
    subject_ref: UUID
    charged: Charged
    now: datetime


@dataclass(frozen=True)
class _Match:
    authenticator: CachedAuthenticator
    step: int


class Verify:
    """Judges codes; nothing that happens in here can accept one but settle."""

    def __init__(
        self,
        *,
        pool: Pool,
        guesses: Guesses,
        refusals: Refusals,
        settler: Settler,
        data_keys: DataKeys,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._guesses = guesses
        self._refusals = refusals
        self._settler = settler
        self._data_keys = data_keys
        self._clock = clock

    async def __call__(self, attempt: Attempt) -> Outcome:
        """Return how the code was judged, once that is durable; raises AuthorityDown."""
        try:
            async with asyncio.timeout(_LONGEST.total_seconds()):
                return await self._judge(attempt)
        except INFRASTRUCTURE_ERRORS as error:
            raise AuthorityDown(type(error).__name__) from None

    async def _judge(self, attempt: Attempt) -> Outcome:
        now = self._clock()
        # First of all: after a minute or two the code would be too old to be judged again.
        first = await self._first_answer(attempt)
        if first is not None:
            return first
        subject = await self._subject_ref(attempt)
        if subject is None:
            return Refused(Why.NOTHING_ENROLLED)
        named = attempt.authenticator_id is not None
        charged = await self._guesses.reserve(attempt.tenant, subject, now=now, named=named)
        if isinstance(charged, Refused):
            return await self._refuse(attempt, subject, charged)
        paid = _Paid(attempt, subject, charged, now)
        usable = [one for one in charged.authenticators if _may_judge(one, attempt)]
        if not usable:
            await self._guesses.never_made(attempt.tenant, subject, charged)
            return Refused(Why.NOTHING_ENROLLED)
        match = await self._compute(paid, usable)
        if match is None:
            return await self._fail(paid, usable, FailureReason.WRONG_CODE)
        return await self._accept(paid, match)

    async def _refuse(self, attempt: Attempt, subject: UUID, refused: Refused) -> Outcome:
        first = await self._first_answer(attempt)
        if first is not None:
            return first
        self._refusals.count(
            refused,
            tenant=attempt.tenant,
            subject=subject,
            application_id=attempt.application_id,
        )
        return refused

    async def _subject_ref(self, attempt: Attempt) -> UUID | None:
        key = await self._data_keys.newest(tenant=attempt.tenant, purpose=LOOKUP)
        async with tenant_transaction(self._pool, attempt.tenant) as tx:
            return await store.subject_ref(tx, lookup_digest(key.key, attempt.subject))

    async def _compute(self, paid: _Paid, usable: Sequence[CachedAuthenticator]) -> _Match | None:
        # All of them are computed, so that the time does not tell which one matched.
        found = None
        for one in usable:
            secret = await self._open(paid, one)
            parameters = TotpParameters(one.algorithm, one.digits, one.period)
            step = matching_step(secret, paid.attempt.code, parameters=parameters, at=paid.now)
            if step is not None:
                found = _Match(one, step)
        return found

    async def _open(self, paid: _Paid, one: CachedAuthenticator) -> bytes:
        tenant = paid.attempt.tenant
        version = key_version(one.sealed)
        key = await self._data_keys.version(tenant=tenant, purpose=CREDENTIAL, version=version)
        place = credential_place(
            tenant,
            paid.subject_ref,
            authenticator_id=one.authenticator_id,
            factor=one.factor,
            epoch=one.epoch,
        )
        return open_seal(key, one.sealed, place=place)

    async def _accept(self, paid: _Paid, match: _Match) -> Outcome:
        attempt, one = paid.attempt, match.authenticator
        event = announcements.verified(
            tenant=attempt.tenant,
            subject_ref=paid.subject_ref,
            application_id=attempt.application_id,
            authenticator_id=one.authenticator_id,
            factor=one.factor,
            now=paid.now,
        )
        acceptance = Acceptance(
            authenticator_id=one.authenticator_id,
            epoch=one.epoch,
            step=match.step,
            idempotency=await self._idempotency(attempt, one.factor),
        )
        settled = await self._settle(paid, event, acceptance=acceptance)
        if not settled.took_effect:
            return await self._lost(paid, match)
        await self._guesses.was_right(attempt.tenant, paid.subject_ref, paid.charged)
        return Accepted(event.id, one.authenticator_id, one.factor, paid.now)

    async def _lost(self, paid: _Paid, match: _Match) -> Outcome:
        """The code matched, but PostgreSQL said no: a repeat, a replay, a limit, a stale copy."""
        attempt, one = paid.attempt, match.authenticator
        first = await self._first_answer(attempt)
        if isinstance(first, Accepted):
            return first
        async with tenant_transaction(self._pool, attempt.tenant) as tx:
            last_step = await store.last_step(tx, one.authenticator_id, one.epoch)
        # The copy was wrong about something: the next guess begins with what PostgreSQL knows.
        await self._guesses.is_stale(attempt.tenant, paid.subject_ref)
        outcome = await self._fail(paid, [one], _why_lost(last_step, match.step))
        return first or outcome

    async def _fail(
        self, paid: _Paid, tried: Sequence[CachedAuthenticator], reason: FailureReason
    ) -> Outcome:
        event = announcements.verification_failed(
            tenant=paid.attempt.tenant,
            subject_ref=paid.subject_ref,
            application_id=paid.attempt.application_id,
            authenticator_id=tried[0].authenticator_id if len(tried) == 1 else None,
            reason=reason,
            now=paid.now,
        )
        settled = await self._settle(paid, event, acceptance=None)
        await self._guesses.was_wrong(
            paid.attempt.tenant,
            paid.subject_ref,
            consecutive=settled.consecutive,
            level=settled.spent,
        )
        return Refused(Why(reason.value))

    async def _settle(
        self, paid: _Paid, event: CloudEvent, *, acceptance: Acceptance | None
    ) -> Settled:
        tenant, subject = paid.attempt.tenant, paid.subject_ref
        lock_event = announcements.locked(tenant=tenant, subject_ref=subject, now=paid.now)
        trace = current_traceparent()
        return await self._settler.settle(
            Entry(
                tenant=tenant,
                subject_ref=subject,
                now=paid.now,
                weight=paid.charged.weight,
                charged=paid.charged.durably,
                acceptance=acceptance,
                event=replace(event, traceparent=trace),
                lock_event=replace(lock_event, traceparent=trace),
            )
        )

    async def _first_answer(self, attempt: Attempt) -> Accepted | KeyReused | None:
        """Return what the same Idempotency-Key was answered with before."""
        asked = await self._idempotency(attempt, factor="")
        if asked is None:
            return None
        async with tenant_transaction(self._pool, attempt.tenant) as tx:
            first = await store.stored_answer(
                tx,
                application_id=attempt.application_id,
                idempotency_key=asked.key,
                since=self._clock() - ANSWERS_KEPT,
            )
        if first is None:
            return None
        if first.request != asked.request:
            return KeyReused()
        return Accepted(first.event_id, first.authenticator_id, first.factor, first.at)

    async def _idempotency(self, attempt: Attempt, factor: str) -> Idempotency | None:
        if attempt.idempotency_key is None:
            return None
        # Under the tenant's key: a code has so few bits that its plain digest would be the code.
        key = (await self._data_keys.newest(tenant=attempt.tenant, purpose=LOOKUP)).key
        named = str(attempt.authenticator_id or "")
        return Idempotency(
            application_id=attempt.application_id,
            key=request_digest(key, attempt.idempotency_key),
            request=request_digest(key, attempt.subject, attempt.code, named),
            factor=factor,
        )


def _why_lost(last_step: int | None, step: int) -> FailureReason:
    if last_step is None:
        return FailureReason.REVOKED
    return FailureReason.REPLAYED if last_step >= step else FailureReason.OVER_LIMIT


def _may_judge(one: CachedAuthenticator, attempt: Attempt) -> bool:
    wanted = attempt.authenticator_id in (None, one.authenticator_id)
    return wanted and one.factor in attempt.factors
