"""Let somebody try again whose codes were locked by failures."""

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from contracts.topics import EVENTS
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from services.verification import announcements
from services.verification.domain.budget import Budget, level_after_unlocking
from services.verification.domain.places import LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.reserve import Cache
from services.verification.script_calls import CacheDown
from services.verification.store import subjects as store


@dataclass(frozen=True)
class Unlock:
    """Ends locks and waits of all families, and leaves half a bucket of guesses free."""

    pool: Pool
    data_keys: DataKeys
    cache: Cache
    budget: Budget
    clock: Clock

    async def __call__(self, *, tenant: UUID, application_id: UUID, subject: str) -> bool:
        """Unlock a subject, also one that is not locked; False where there is no such subject."""
        key = await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        level = level_after_unlocking(self.budget)
        async with tenant_transaction(self.pool, tenant) as tx:
            subject_ref = await store.subject_named(tx, lookup_digest(key.key, subject))
            if subject_ref is None:
                return False
            await store.lock_subject(tx, tenant, subject_ref)
            version = await store.unlock(tx, subject_ref, level=level)
            event = announcements.unlocked(
                tenant=tenant,
                subject_ref=subject_ref,
                application_id=application_id,
                now=self.clock(),
            )
            await announce(tx, topic=EVENTS.name, event=event)
        # A Redis that is away is told by the first guess that it refuses (use_cases/guesses.py).
        with suppress(CacheDown):
            await self.cache.tell_unlocked(tenant, subject_ref, version=version, level=level)
        return True
