"""Applications come, and their keys come and go."""

from dataclasses import dataclass
from uuid import UUID

from contracts.policy import Change
from contracts.vocabulary import KeyMode, Scope
from libs.clock import Clock
from libs.ids import new_id
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.api_keys import ApiKey, new_api_key
from libs.web.callers import Caller
from services.policy.announcements import (
    application_changed,
    application_state,
    policy_changed,
)
from services.policy.domain.application import (
    Application,
    Key,
    new_application,
    with_key,
    without_key,
)
from services.policy.domain.policy import Policy, Terms, first_policy
from services.policy.domain.refusals import Refusal
from services.policy.gateways import Keepers
from services.policy.store.announcements import announce_all
from services.policy.store.applications import (
    add_application,
    load_application,
    load_applications,
    lock_application,
    manage_keys_in_force,
    save_with_key,
    save_without_key,
)
from services.policy.store.policies import add_policy, load_policies, load_policy
from services.policy.store.tenants import lock_tenant
from services.policy.use_cases.rules import rules_in_force


@dataclass(frozen=True)
class IssuedKey:
    """A key and its text, which is shown once."""

    key: Key
    secret: ApiKey


@dataclass(frozen=True)
class NewApplication:
    """An application as it was made."""

    application: Application
    policy: Policy
    issued: IssuedKey


@dataclass(frozen=True)
class Applications:
    """What a tenant may do with its applications."""

    pool: Pool
    clock: Clock
    keepers: Keepers

    async def create(
        self, caller: Caller, name: str, *, mode: KeyMode, scopes: frozenset[Scope], terms: Terms
    ) -> NewApplication | Refusal:
        """Make an application with its first key and the first version of its policy."""
        tenant, about = caller.tenant_id, new_id()
        issued = issue_key(about, mode=mode, scopes=scopes)
        made = new_application(about, name=name, first_key=issued.key, now=self.clock())
        async with tenant_transaction(self.pool, tenant) as tx:
            # Rules that are published meanwhile have to find this application.
            await lock_tenant(tx, tenant)
            policy = first_policy(about, terms, await rules_in_force(tx, tenant, about))
            if isinstance(policy, Refusal):
                return policy
            await register(tx, tenant, made, policy=policy, changed_by=caller.key_id)
        return NewApplication(made, policy=policy, issued=issued)

    async def load_all(self, tenant: UUID) -> list[tuple[Application, Policy]]:
        """Return the tenant's applications with their policies."""
        async with tenant_transaction(self.pool, tenant) as tx:
            applications = await load_applications(tx, tenant)
            policies = await load_policies(tx, tenant)
        return [(one, policies[one.application_id]) for one in applications]

    async def load(
        self, tenant: UUID, application_id: UUID
    ) -> tuple[Application, Policy] | Refusal:
        """Return one application with its policy."""
        async with tenant_transaction(self.pool, tenant) as tx:
            application = await load_application(tx, tenant, application_id)
            policy = await load_policy(tx, tenant, application_id)
        if application is None or policy is None:
            return Refusal.UNKNOWN
        return application, policy

    async def add_key(
        self, tenant: UUID, application_id: UUID, *, mode: KeyMode, scopes: frozenset[Scope]
    ) -> IssuedKey | Refusal:
        """Give an application one more key."""
        issued, now = issue_key(application_id, mode=mode, scopes=scopes), self.clock()
        key, reason = issued.key, Change.KEY_ISSUED
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await lock_application(tx, tenant, application_id)
            changed = with_key(stored, key) if stored is not None else Refusal.UNKNOWN
            if isinstance(changed, Refusal):
                return changed
            await save_with_key(tx, tenant, changed, key=key, now=now)
            said = application_changed(tenant, changed, change=reason, key_id=key.key_id, now=now)
            await announce_all(tx, said)
        return issued

    async def revoke_key(self, tenant: UUID, application_id: UUID, key_id: UUID) -> bool | Refusal:
        """Revoke a key and tell whether all services refuse it already; repeat until it does."""
        changed = await self._revoke(tenant, application_id, key_id)
        if isinstance(changed, Refusal):
            return changed
        return await self.keepers.push(tenant, application_state(changed))

    async def _revoke(
        self, tenant: UUID, application_id: UUID, key_id: UUID
    ) -> Application | Refusal:
        now, reason = self.clock(), Change.KEY_REVOKED
        async with tenant_transaction(self.pool, tenant) as tx:
            # Which key is the tenant's last one is a question about all its applications.
            await lock_tenant(tx, tenant)
            stored = await lock_application(tx, tenant, application_id)
            if stored is None:
                return Refusal.UNKNOWN
            manage_keys = await manage_keys_in_force(tx, tenant)
            changed = without_key(stored, key_id, manage_keys=manage_keys)
            if isinstance(changed, Refusal) or changed == stored:
                return changed
            await save_without_key(tx, tenant, changed, key_id=key_id, now=now)
            said = application_changed(tenant, changed, change=reason, key_id=key_id, now=now)
            await announce_all(tx, said)
        return changed


def issue_key(application_id: UUID, *, mode: KeyMode, scopes: frozenset[Scope]) -> IssuedKey:
    """Make a key; nothing of its text is kept but the digest."""
    secret = new_api_key(mode=mode, application_id=application_id)
    key = Key(new_id(), digest=secret.digest, scopes=scopes, mode=mode, revoked=False)
    return IssuedKey(key, secret=secret)


async def register(
    tx: Connection, tenant: UUID, application: Application, *, policy: Policy, changed_by: UUID
) -> None:
    """Save and announce a new application with its first policy."""
    now, key_id = application.created, application.keys[0].key_id
    await add_application(tx, tenant, application)
    await add_policy(tx, tenant, policy, changed_by=changed_by, now=now)
    said = application_changed(tenant, application, change=Change.CREATED, key_id=key_id, now=now)
    asked = policy_changed(tenant, policy, changed_by=changed_by, now=now)
    await announce_all(tx, [*said, *asked])
