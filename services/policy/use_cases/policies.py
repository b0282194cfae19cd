"""An application asks something else from now on."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import policy_changed
from services.policy.domain.acts import ChangePolicy
from services.policy.domain.policy import Policy, Terms, next_policy
from services.policy.domain.proposals import Look, Proposal
from services.policy.domain.refusals import Refusal
from services.policy.domain.weakening import InForce, weakenings
from services.policy.store.announcements import announce_all
from services.policy.store.applications import lock_application
from services.policy.store.policies import add_policy, load_policy
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.proposing import propose


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

    async def put(
        self, caller: Caller, application_id: UUID, terms: Terms
    ) -> Policy | Proposal | Refusal:
        """Make these terms the newest version; there is none anew where they already are."""
        tenant, now = caller.tenant_id, self.clock()
        act = _act(application_id, terms)
        async with tenant_transaction(self.pool, tenant) as tx:
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            look = await look_at_policy(tx, tenant, act, weighed=settings.four_eyes)
            if isinstance(look, Refusal):
                return look
            if look.because:
                return await propose(tx, caller, act, look, now=now)
            await change_policy(tx, tenant, act, by=caller.key_id, now=now)
            changed = await load_policy(tx, tenant, application_id)
        return changed or Refusal.UNKNOWN


async def look_at_policy(
    tx: Connection, tenant: UUID, act: ChangePolicy, *, weighed: bool = True
) -> Look | Refusal:
    """Return how other terms would weaken what is asked under the rules in force."""
    # The application's row is the lock of its policy.
    await lock_application(tx, tenant, act.application_id)
    stored = await load_policy(tx, tenant, act.application_id)
    changed = next_policy(stored, act.terms) if stored is not None else None
    if stored is None or changed is None:
        return Refusal.UNKNOWN
    if isinstance(changed, Refusal):
        return changed
    if not weighed:
        return Look((), compared_with=stored.version)
    rules, about = stored.ruled.rules, act.application_id
    because = weakenings(
        InForce(rules, {about: stored.terms}), InForce(rules, {about: changed.terms})
    )
    return Look(because, compared_with=stored.version)


async def change_policy(
    tx: Connection, tenant: UUID, act: ChangePolicy, *, by: UUID, now: datetime
) -> None:
    """Keep and announce the terms that were looked at, where they are new."""
    stored = await load_policy(tx, tenant, act.application_id)
    changed = next_policy(stored, act.terms) if stored is not None else Refusal.UNKNOWN
    if isinstance(changed, Refusal) or changed == stored:
        return
    await add_policy(tx, tenant, changed, changed_by=by, now=now)
    await announce_all(tx, policy_changed(tenant, changed, changed_by=by, now=now))


def _act(application_id: UUID, terms: Terms) -> ChangePolicy:
    factors = tuple(factor for factor in Factor if factor in terms.factors)
    return ChangePolicy(
        application_id=application_id, requirement=terms.requirement, factors=factors
    )
