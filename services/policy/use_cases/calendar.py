"""Say ahead of time that a rule will require something."""

from dataclasses import dataclass
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Pool, tenant_transaction
from services.policy.announcements import enforcement_due
from services.policy.domain.calendar import due
from services.policy.domain.rules import published_rules
from services.policy.store import rules as store
from services.policy.store.announcements import announce_all
from services.policy.store.tenants import lock_tenant


@dataclass(frozen=True)
class Calendar:
    """Looks through the rules in force of all tenants; `worker_pool` sees who has any."""

    pool: Pool
    worker_pool: Pool
    clock: Clock

    async def look(self) -> int:
        """Announce what is due and was not announced; returns how much that was."""
        tenants = await store.tenants_with_rules(self.worker_pool)
        return sum([await self._look_at(tenant) for tenant in tenants])

    async def _look_at(self, tenant: UUID) -> int:
        now, said = self.clock(), []
        async with tenant_transaction(self.pool, tenant) as tx:
            # Rules that are replaced at this moment are either announced before, or not at all.
            await lock_tenant(tx, tenant)
            last = await store.last_publication(tx, tenant)
            found = await store.load_version(tx, tenant, last.version) if last else None
            if found is None:
                return 0
            for rule, starts, days in due(published_rules(found.text), now):
                if await store.note_said(tx, tenant, rule.name, starts, days):
                    said.append(enforcement_due(tenant, found, rule, days=days, now=now))
            await announce_all(tx, said)
        return len(said)
