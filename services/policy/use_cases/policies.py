"""An application asks something else from now on."""

from dataclasses import dataclass
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import policy_changed
from services.policy.domain.policy import Policy, Terms, next_policy
from services.policy.domain.refusals import Refusal
from services.policy.store.announcements import announce_all
from services.policy.store.applications import lock_application
from services.policy.store.policies import add_policy, load_policy


@dataclass(frozen=True)
class Policies:
    """What a tenant may do with its policies."""

    pool: Pool
    clock: Clock

    async def load(self, tenant: UUID, application_id: UUID) -> Policy | Refusal:
        """Return the newest version."""
        async with tenant_transaction(self.pool, tenant) as tx:
            policy = await load_policy(tx, tenant, application_id)
        return policy or Refusal.UNKNOWN

    async def put(self, caller: Caller, application_id: UUID, terms: Terms) -> Policy | Refusal:
        """Make these terms the newest version; there is none anew where they already are."""
        tenant, now, key_id = caller.tenant_id, self.clock(), caller.key_id
        async with tenant_transaction(self.pool, tenant) as tx:
            # The application's row is the lock of its policy.
            await lock_application(tx, tenant, application_id)
            stored = await load_policy(tx, tenant, application_id)
            changed = next_policy(stored, terms) if stored is not None else Refusal.UNKNOWN
            if isinstance(changed, Refusal) or changed == stored:
                return changed
            await add_policy(tx, tenant, changed, changed_by=key_id, now=now)
            await announce_all(tx, policy_changed(tenant, changed, changed_by=key_id, now=now))
        return changed
