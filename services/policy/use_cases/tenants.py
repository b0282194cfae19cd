"""Tenants come."""

from dataclasses import dataclass
from uuid import UUID

from contracts.roles import SCOPES, Role
from contracts.vocabulary import KeyMode
from libs.clock import Clock
from libs.ids import new_id
from libs.postgres.pool import Pool, tenant_transaction
from services.policy.announcements import tenant_created
from services.policy.domain.application import new_application
from services.policy.domain.policy import standard_policy
from services.policy.store.announcements import announce_all
from services.policy.store.tenants import add_tenant
from services.policy.use_cases.applications import register
from services.policy.use_cases.keys import IssuedKey, Wanted, issue_key


@dataclass(frozen=True)
class NewTenant:
    """A tenant, and the application and owner's key through which it manages everything else."""

    tenant_id: UUID
    application_id: UUID
    issued: IssuedKey


@dataclass(frozen=True)
class Tenants:
    """What the operator may do."""

    pool: Pool
    clock: Clock

    async def create(self, name: str) -> NewTenant:
        """Make a tenant with its first application."""
        tenant, about, now = new_id(), new_id(), self.clock()
        # Nobody of the tenant is known yet: the first owner's key is the only one without a holder.
        wanted = Wanted(KeyMode.LIVE, scopes=SCOPES[Role.OWNER], role=Role.OWNER)
        issued = issue_key(about, wanted)
        first = new_application(about, name="administration", first_key=issued.key, now=now)
        policy = standard_policy(about)
        async with tenant_transaction(self.pool, tenant) as tx:
            await add_tenant(tx, tenant, name=name, now=now)
            await announce_all(tx, [tenant_created(tenant, now=now)])
            # The operator has no application key: the one just made stands for it.
            await register(tx, tenant, first, policy=policy, changed_by=issued.key.key_id)
        return NewTenant(tenant, application_id=about, issued=issued)
