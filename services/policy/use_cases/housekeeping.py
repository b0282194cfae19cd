"""What the directory does by the clock: digests that are missing, and everything's time to go."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from contracts.envelope import person_key
from contracts.policy import SUBJECT_STATE
from contracts.topics import SUBJECTS
from libs.messaging.outbox import announce_tombstones
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.seal import SealBroken
from libs.turns import in_turn
from services.policy.domain.imports import ABANDONED_AFTER, KEPT_FOR, State
from services.policy.store import directory as store
from services.policy.store.import_marks import closed_imports_with_marks
from services.policy.store.readiness import forget_readiness
from services.policy.store.subjects import StoredSubject
from services.policy.use_cases.importing import Importing

_LOG = structlog.get_logger("directory")
_AT_ONCE = 500
# Whoever reads mfa.subjects from its beginning within this time hears `deleted` (DESIGN section 3).
BURIED_AFTER = timedelta(days=30)
_RECENTLY = timedelta(days=1)
_CLOSED = (State.FINISHED.value, State.CANCELLED.value)


@dataclass(frozen=True)
class Housekeeping:
    """Looks through all tenants; `worker_pool` sees where something is due."""

    importing: Importing
    worker_pool: Pool

    async def look(self) -> None:
        """Do what is due."""
        await in_turn([self.digest, self.bury, self.forget_imports])

    async def digest(self) -> None:
        """Let every subject be found by its address."""
        tenants = await store.tenants_with_undigested(self.worker_pool)
        await in_turn(partial(self._digest_all, tenant) for tenant in tenants)

    async def bury(self) -> None:
        """Let Kafka forget subjects that were erased long ago."""
        before = self.importing.imports.clock() - BURIED_AFTER
        tenants = await store.tenants_with_unburied(self.worker_pool, erased_before=before)
        await in_turn(partial(self._bury_all, tenant, before) for tenant in tenants)

    async def forget_imports(self) -> None:
        """Cancel imports that nobody goes on with, and forget those that are over."""
        now, pool, importing = self.importing.imports.clock(), self.worker_pool, self.importing
        receiving = (State.RECEIVING.value,)
        left = await store.imports_untouched(pool, receiving, since=now - ABANDONED_AFTER)
        await in_turn(partial(importing.imports.cancel, *one) for one in left)
        closed = await closed_imports_with_marks(pool, since=now - _RECENTLY)
        await in_turn(partial(importing.sweep, *one) for one in closed)
        old = await store.imports_untouched(pool, _CLOSED, since=now - KEPT_FOR)
        await in_turn(partial(self._forget, *one) for one in old)

    async def _digest_all(self, tenant: UUID) -> None:
        while await self._finish_some(tenant):
            pass
        while await self._digest_some(tenant):
            pass

    async def _bury_all(self, tenant: UUID, before: datetime) -> None:
        while await self._bury_some(tenant, before):
            pass

    async def _finish_some(self, tenant: UUID) -> bool:
        now = self.importing.imports.clock()
        async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
            return bool(await store.finish_erasing(tx, tenant, now=now, limit=_AT_ONCE))

    async def _digest_some(self, tenant: UUID) -> bool:
        async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
            stored = await store.undigested(tx, tenant, limit=_AT_ONCE)
        if not stored:
            return False
        digests = [
            (one.subject_ref, one.version, await self._email_digest(tenant, one)) for one in stored
        ]
        async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
            await store.save_email_digests(tx, tenant, digests)
        return True

    async def _bury_some(self, tenant: UUID, before: datetime) -> bool:
        async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
            refs = await store.bury_subjects(tx, tenant, erased_before=before, limit=_AT_ONCE)
            # What was counted of them in the moment of the deletion.
            await forget_readiness(tx, tenant, refs)
            keys = [person_key(tenant, ref) for ref in refs]
            await announce_tombstones(
                tx, tenant, topic=SUBJECTS.name, kind=SUBJECT_STATE.name, keys=keys
            )
        return bool(refs)

    async def _forget(self, tenant: UUID, import_id: UUID) -> None:
        forgotten = True
        while forgotten:
            async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
                forgotten = bool(await store.forget_rows(tx, tenant, import_id))
        await self.importing.sweep(tenant, import_id)
        async with tenant_transaction(self.importing.imports.pool, tenant) as tx:
            await store.forget_import(tx, tenant, import_id)

    async def _email_digest(self, tenant: UUID, stored: StoredSubject) -> bytes | None:
        try:
            keys = await self.importing.imports.seals.keys(tenant, [stored])
            email = keys.open(stored).personal.email
        except (SealBroken, LookupError):
            # It is not found by its address, and does not keep the others from it.
            _LOG.error("a subject cannot be opened", subject_ref=str(stored.subject_ref))
            return None
        return keys.email_digest(email) if email is not None else None
