"""What a tenant says of shared mailboxes; to let more of them in weakens."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.subjects import Mailbox
from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import settings_changed
from services.policy.domain.acts import ChangeMailboxes
from services.policy.domain.mailboxes import Mailboxes, Shared, less_shared, mailbox_of
from services.policy.domain.proposals import Look, Proposal
from services.policy.domain.refusals import Refusal
from services.policy.store.announcements import announce_all
from services.policy.store.mailboxes import load_mailboxes, save_mailboxes
from services.policy.store.tenants import load_settings
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.proposing import propose


@dataclass(frozen=True)
class SharedMailboxes:
    """What owners may say, and what an address is by that."""

    pool: Pool
    clock: Clock

    async def load(self, tenant: UUID) -> Mailboxes:
        """Return what the tenant says."""
        async with tenant_transaction(self.pool, tenant) as tx:
            return await load_mailboxes(tx, tenant)

    async def of(self, tenant: UUID, address: str | None) -> Mailbox:
        """Return what a login address is to the tenant."""
        return mailbox_of(address, (await self.load(tenant)).shared)

    async def choose(self, caller: Caller, shared: Shared) -> Mailboxes | Proposal | Refusal:
        """Say this from now on; with four eyes, what lets more in waits for a second owner."""
        tenant, now = caller.tenant_id, self.clock()
        act = ChangeMailboxes(then=shared.then, names=shared.names)
        async with tenant_transaction(self.pool, tenant) as tx:
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            look = await look_at_mailboxes(tx, tenant, act)
            if settings.four_eyes and look.because:
                return await propose(tx, caller, act, look, now=now)
            await change_mailboxes(tx, tenant, act, by=caller.key_id, now=now)
            return await load_mailboxes(tx, tenant)


async def look_at_mailboxes(tx: Connection, tenant: UUID, act: ChangeMailboxes) -> Look:
    """Return how other words would let more people of a locked tenant in."""
    stored = await load_mailboxes(tx, tenant)
    return Look(less_shared(stored.shared, act.shared), compared_with=stored.version)


async def change_mailboxes(
    tx: Connection, tenant: UUID, act: ChangeMailboxes, *, by: UUID, now: datetime
) -> None:
    """Keep and announce what a locked tenant says, where it is new."""
    stored = await load_mailboxes(tx, tenant)
    if act.shared == stored.shared:
        return
    await save_mailboxes(tx, tenant, Mailboxes(act.shared, version=stored.version + 1))
    settings = await load_settings(tx, tenant)
    said = settings_changed(tenant, settings, changed_by=by, now=now, mailboxes=True)
    await announce_all(tx, [said])
