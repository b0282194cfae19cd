"""Put enrolling off once, as often as a rule lets somebody."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.topics import EVENTS
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
from services.verification.use_cases.decide import Decide


@dataclass(frozen=True)
class Skipped:
    """Enrolling was put off, and may be `left` times more."""

    left: int


@dataclass(frozen=True)
class NothingToSkip:
    """The decision is not to enroll, or enrolling can be put off no more."""


Outcome = Skipped | NothingToSkip | KeyReused


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
        asked = None
        if idempotency_key is not None:
            digests = (request_digest(key, one) for one in (idempotency_key, subject))
            asked = Repeatable(application_id, *digests)
        lookup, now = lookup_digest(key, subject), self.decide.clock()
        async with tenant_transaction(self.decide.pool, tenant) as tx:
            if asked is None:
                return await self._skip(tx, tenant, application_id, lookup=lookup, now=now)
            if not await store.begin(tx, tenant, asked, now=now, kept=ANSWERS_KEPT):
                first = await store.first_answer(tx, asked)
                return Skipped(first) if first is not None else KeyReused()
            outcome = await self._skip(tx, tenant, application_id, lookup=lookup, now=now)
            left = outcome.left if isinstance(outcome, Skipped) else None
            await store.end(tx, asked, left=left)
        return outcome

    async def _skip(
        self, tx: Connection, tenant: UUID, application_id: UUID, *, lookup: bytes, now: datetime
    ) -> Skipped | NothingToSkip:
        subject = await subject_named(tx, lookup)
        if subject is not None:
            # Who is enrolled at this moment is enrolled first, and then puts nothing off.
            await lock_subject(tx, tenant, subject)
        decided = await self.decide.decided(tx, tenant, application_id, lookup)
        rule, most = decided.ask.rule, decided.ask.skips
        if rule is None or not decided.decision.skips_left:
            return NothingToSkip()
        times = await store.use(tx, tenant, lookup, rule=rule, most=most, subject=subject, now=now)
        if times is None:
            return NothingToSkip()
        left = most - times
        if subject is not None:
            event = announcements.enrollment_skipped(
                tenant=tenant,
                subject_ref=subject,
                application_id=application_id,
                rule=rule,
                rules_version=decided.policy.rules_version,
                rules_digest=decided.policy.rules_digest,
                skips_left=left,
                now=now,
            )
            await announce(tx, topic=EVENTS.name, event=event)
        return Skipped(left)
