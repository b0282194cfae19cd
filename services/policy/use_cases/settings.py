"""What a tenant chooses for itself: whether an act that weakens waits for a second owner."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import settings_changed
from services.policy.domain.acts import EndFourEyes
from services.policy.domain.owners import Owners, Settings, missing_owner
from services.policy.domain.proposals import Look, Proposal
from services.policy.domain.refusals import Refusal
from services.policy.store.announcements import announce_all
from services.policy.store.applications import owners_in_force
from services.policy.store.tenants import load_settings, save_settings
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.proposing import propose


@dataclass(frozen=True)
class TenantSettings:
    """What owners may choose."""

    pool: Pool
    clock: Clock

    async def load(self, tenant: UUID) -> Settings:
        """Return what is chosen."""
        async with tenant_transaction(self.pool, tenant) as tx:
            return await load_settings(tx, tenant)

    async def choose(self, caller: Caller, *, four_eyes: bool) -> Settings | Proposal | Refusal:
        """Switch four eyes on, while there are two owners; or off, once a second one agrees."""
        tenant, by, now = caller.tenant_id, caller.key_id, self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            if settings.four_eyes == four_eyes:
                return settings
            if settings.four_eyes:
                look = look_at_settings(settings)
                return await propose(tx, caller, EndFourEyes(), look, now=now)
            owners = Owners(await owners_in_force(tx, tenant), four_eyes)
            if refusal := missing_owner(owners):
                return refusal
            return await save(tx, tenant, settings, four_eyes=four_eyes, by=by, now=now)


def look_at_settings(settings: Settings) -> Look:
    """Return how switching four eyes off weakens them."""
    return Look(("each owner acts alone",), compared_with=settings.version)


async def save(
    tx: Connection, tenant: UUID, before: Settings, *, four_eyes: bool, by: UUID, now: datetime
) -> Settings:
    """Keep and announce what a locked tenant chooses."""
    chosen = Settings(four_eyes, version=before.version + 1)
    await save_settings(tx, tenant, chosen)
    await announce_all(tx, [settings_changed(tenant, chosen, changed_by=by, now=now)])
    return chosen
