"""Put enrolling off once, as often as a rule lets somebody."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.topics import EVENTS
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, tenant_transaction
from services.verification import announcements
from services.verification.domain.outcome import KeyReused
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest, request_digest
from services.verification.settle import ANSWERS_KEPT
from services.verification.store import skips as store
from services.verification.store.skips import Repeatable
from services.verification.store.subjects import lock_subject, subject_named
from services.verification.use_cases.decide import Decide, Decided


@dataclass(frozen=True)
class Skipped:
    """Enrolling was put off, and may be `left` times more."""

    left: int


@dataclass(frozen=True)
class NothingToSkip:
    """The decision is not to enroll, or enrolling can be put off no more."""


Outcome = Skipped | NothingToSkip | KeyReused


@dataclass(frozen=True)
class _Asking:
    """Who asks for whom, as digests under the tenant's key, and when."""

    tenant: UUID
    application_id: UUID
    lookup: bytes
    now: datetime
    repeatable: Repeatable | None


@dataclass(frozen=True)
class Skip:
    """Counts for each person and name of a rule, over all applications of the tenant."""

    decide: Decide

    async def __call__(
        self, *, tenant: UUID, application_id: UUID, subject: str, idempotency_key: str | None
    ) -> Outcome:
        """Put it off; raises PolicyUnknown, ClockOff. A repeat costs nothing."""
        self.decide.refuse_clock_off()
        key = (await self.decide.data_keys.newest(tenant=tenant, purpose=LOOKUP)).key
        asking = _Asking(
            tenant,
            application_id,
            lookup_digest(key, subject),
            self.decide.clock(),
            _repeatable(key, application_id, subject, idempotency_key),
        )
        async with tenant_transaction(self.decide.pool, tenant) as tx:
            if asking.repeatable is None:
                return await self._skip(tx, asking)
            return await self._skip_once(tx, asking, asking.repeatable)

    async def _skip_once(self, tx: Connection, asking: _Asking, asked: Repeatable) -> Outcome:
        if not await store.begin(tx, asking.tenant, asked, now=asking.now, kept=ANSWERS_KEPT):
            first = await store.first_answer(tx, asked)
            return Skipped(first) if first is not None else KeyReused()
        outcome = await self._skip(tx, asking)
        # A refusal is not kept: it may be another answer by the time of the repeat.
        await store.end(tx, asked, left=outcome.left if isinstance(outcome, Skipped) else None)
        return outcome

    async def _skip(self, tx: Connection, asking: _Asking) -> Skipped | NothingToSkip:
        tenant, lookup = asking.tenant, asking.lookup
        subject = await subject_named(tx, lookup)
        if subject is not None:
            # Who is enrolled at this moment is enrolled first, and then puts nothing off.
            await lock_subject(tx, tenant, subject)
        decided = await self.decide.decided(tx, tenant, asking.application_id, lookup)
        rule, most = decided.ask.rule, decided.ask.skips
        if rule is None or not decided.decision.skips_left:
            return NothingToSkip()
        times = await store.use(
            tx, tenant, lookup, rule=rule, most=most, subject=subject, now=asking.now
        )
        if times is None:
            return NothingToSkip()
        if subject is not None:
            event = _skipped(asking, subject, decided, rule=rule, left=most - times)
            await announce(tx, topic=EVENTS.name, event=event)
        return Skipped(most - times)


def _repeatable(
    key: bytes, application_id: UUID, subject: str, idempotency_key: str | None
) -> Repeatable | None:
    if idempotency_key is None:
        return None
    return Repeatable(
        application_id, request_digest(key, idempotency_key), request_digest(key, subject)
    )


def _skipped(
    asking: _Asking, subject: UUID, decided: Decided, *, rule: str, left: int
) -> CloudEvent:
    return announcements.enrollment_skipped(
        tenant=asking.tenant,
        subject_ref=subject,
        application_id=asking.application_id,
        rule=rule,
        rules_version=decided.policy.rules_version,
        rules_digest=decided.policy.rules_digest,
        skips_left=left,
        now=asking.now,
    )
