"""Applications come; their keys are in keys.py."""

from dataclasses import dataclass
from uuid import UUID

from contracts.policy import Change
from contracts.roles import Right, Role
from libs.clock import Clock
from libs.ids import new_id
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import application_changed, policy_changed
from services.policy.domain.application import Application, new_application
from services.policy.domain.asking import asks_less, of_terms
from services.policy.domain.owners import Settings
from services.policy.domain.policy import STANDARD_TERMS, Policy, Terms, first_policy
from services.policy.domain.refusals import Refusal
from services.policy.store.announcements import announce_all
from services.policy.store.applications import (
    add_application,
    load_application,
    load_applications,
)
from services.policy.store.policies import add_policy, load_policies, load_policy
from services.policy.store.subjects import keep_subject
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.keys import IssuedKey, Wanted, issue_key
from services.policy.use_cases.publication import rules_in_force


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

    async def create(
        self, caller: Caller, name: str, *, wanted: Wanted, terms: Terms
    ) -> NewApplication | Refusal:
        """Make an application with its first key and the first version of its policy."""
        tenant, about = caller.tenant_id, new_id()
        issued = issue_key(about, wanted)
        made = new_application(about, name=name, first_key=issued.key, now=self.clock())
        async with tenant_transaction(self.pool, tenant) as tx:
            # Rules that are published meanwhile have to find this application.
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            if refusal := _owners_only(caller, wanted, terms, settings):
                return refusal
            if wanted.holder is not None and not await keep_subject(tx, tenant, wanted.holder):
                return Refusal.HOLDER_UNKNOWN
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


def _owners_only(
    caller: Caller, wanted: Wanted, terms: Terms, settings: Settings
) -> Refusal | None:
    """Return why not: a second owner sees what is asked of an application, not its coming."""
    owner_wanted = wanted.role is Role.OWNER
    if (owner_wanted or terms != STANDARD_TERMS) and Right.OWN not in caller.scopes:
        return Refusal.OWNER_NEEDED
    weaker = bool(asks_less(of_terms(terms), of_terms(STANDARD_TERMS)))
    return Refusal.FOUR_EYES if settings.four_eyes and (owner_wanted or weaker) else None


async def register(
    tx: Connection, tenant: UUID, application: Application, *, policy: Policy, changed_by: UUID
) -> None:
    """Save and announce a new application with its first policy."""
    now, key_id = application.created, application.keys[0].key_id
    await add_application(tx, tenant, application)
    await add_policy(tx, tenant, policy, changed_by=changed_by, now=now)
    said = application_changed(
        tenant, application, change=Change.CREATED, key_id=key_id, changed_by=changed_by, now=now
    )
    asked = policy_changed(tenant, policy, changed_by=changed_by, now=now)
    await announce_all(tx, [*said, *asked])
