"""Refusals without a look at the code are summed up, so that a flood cannot flood the stream."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.topics import EVENTS
from contracts.verification import LockReason
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Pool, tenant_transaction
from services.verification import announcements
from services.verification.domain.outcome import Refused, Why
from services.verification.store.subjects import lock_subject

_REASONS = {
    Why.BUDGET: LockReason.BUDGET,
    Why.WAITING: LockReason.BUDGET,
    Why.LIMIT: LockReason.BUDGET,
    Why.LOCKED: LockReason.CONSECUTIVE_FAILURES,
}


@dataclass(frozen=True)
class _About:
    tenant: UUID
    subject_ref: UUID
    application_id: UUID
    reason: LockReason


@dataclass
class Refusals:
    """Counts in memory and announces the sums; what a crash loses was never evaluated."""

    pool: Pool
    clock: Clock
    _counted: Counter[_About] = field(default_factory=Counter)
    _since: datetime | None = None

    def count(self, refused: Refused, *, tenant: UUID, subject: UUID, application_id: UUID) -> None:
        """Count a refusal for which no code was looked at; others have events of their own."""
        reason = _REASONS.get(refused.why)
        if reason is None:
            return
        self._since = self._since or self.clock()
        self._counted[_About(tenant, subject, application_id, reason)] += 1

    async def announce(self) -> None:
        """Announce what was counted since the last time; what cannot be written is kept."""
        counted, since = self._counted, self._since
        self._counted, self._since = Counter(), None
        try:
            while counted and since is not None:
                about, number = next(iter(counted.items()))
                await self._announce(about, number, since)
                del counted[about]
        finally:
            if counted:
                self._counted.update(counted)
                self._since = since

    async def _announce(self, about: _About, number: int, since: datetime) -> None:
        event = announcements.verification_refused(
            tenant=about.tenant,
            subject_ref=about.subject_ref,
            application_id=about.application_id,
            reason=about.reason,
            count=number,
            since=since,
            now=self.clock(),
        )
        async with tenant_transaction(self.pool, about.tenant) as tx:
            # First, like everything about a person: settle leaves out whose row is locked.
            await lock_subject(tx, about.tenant, about.subject_ref)
            await announce(tx, topic=EVENTS.name, event=event)
