"""Tell the one attempt that asked first where a person is told of an event."""

from dataclasses import dataclass
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Pool, tenant_transaction
from services.policy.domain.claim import claim_refusal, forgettable, new_claim
from services.policy.domain.refusals import Refusal
from services.policy.domain.subject import Subject
from services.policy.store.claims import add_claim, forget_claims, lock_claim, save_acknowledged
from services.policy.store.subjects import load_subjects
from services.policy.use_cases.subjects import Subjects


@dataclass(frozen=True)
class Contacts:
    """Lets each event's address be claimed once."""

    pool: Pool
    subjects: Subjects
    clock: Clock

    async def claim(
        self, tenant: UUID, subject_ref: UUID, *, caused_by: UUID, attempt: UUID
    ) -> Subject | Refusal:
        """Return whom the event is about to the attempt that owns the claim."""
        now = self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            if not await load_subjects(tx, tenant, [subject_ref]):
                return Refusal.UNKNOWN
            await forget_claims(tx, tenant, before=forgettable(now))
            mine = new_claim(caused_by, subject_ref, attempt=attempt, now=now)
            await add_claim(tx, tenant, mine)
            stored = await lock_claim(tx, tenant, caused_by)
            if stored is None or stored.subject_ref != subject_ref:
                return Refusal.UNKNOWN
            refusal = claim_refusal(stored, attempt, now=now)
        return refusal or await self.subjects.load(tenant, subject_ref)

    async def acknowledge(self, tenant: UUID, *, caused_by: UUID, attempt: UUID) -> Refusal | None:
        """End the claim that the attempt owns; asking again is harmless."""
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await lock_claim(tx, tenant, caused_by)
            if stored is None:
                return Refusal.UNKNOWN
            if stored.claimed_by != attempt:
                return Refusal.CLAIMED_BY_ANOTHER
            await save_acknowledged(tx, tenant, caused_by)
        return None
