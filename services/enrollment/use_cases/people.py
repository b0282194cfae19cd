"""Whom an application means, and what it may enroll for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.envelope import application_key
from contracts.policy import ApplicationState, PolicyState
from contracts.rules import Login, factors_for
from contracts.topics import APPLICATIONS, POLICIES
from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.messaging.copies import copy_of
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller
from libs.web.internal_client import Unreachable
from services.enrollment.domain.refusals import Refusal
from services.enrollment.gateways import KnownSubject, Policy


@dataclass(frozen=True)
class Asking:
    """An application, and what it asks of its subjects."""

    application: ApplicationState
    policy: PolicyState


@dataclass(frozen=True)
class People:
    """Knows applications by policy's events, and people by asking policy."""

    pool: Pool
    policy: Policy
    clock: Clock

    async def asking(self, caller: Caller) -> Asking | Refusal:
        """Return what the caller's application asks."""
        key = application_key(caller.tenant_id, caller.application_id)
        async with tenant_transaction(self.pool, caller.tenant_id) as tx:
            policy = await copy_of(tx, POLICIES.name, key)
            application = await copy_of(tx, APPLICATIONS.name, key)
        if policy is None or application is None:
            return Refusal.POLICY_UNKNOWN
        return Asking(
            ApplicationState.model_validate(application), PolicyState.model_validate(policy)
        )

    async def known(self, tenant: UUID, subject: str) -> KnownSubject | Refusal:
        """Return whom the application means."""
        try:
            known = await self.policy.resolve(tenant, subject)
        except Unreachable:
            return Refusal.POLICY_UNREACHABLE
        return known if known is not None else Refusal.SUBJECT_UNKNOWN

    def allowed(self, policy: PolicyState, subject: KnownSubject) -> Sequence[Factor]:
        """Return the factors that the subject may enroll now."""
        login = login_of(policy.application_id, subject)
        return factors_for(policy.rules, login, self.clock(), otherwise=policy.factors)


def login_of(application_id: UUID, subject: KnownSubject) -> Login:
    """Return the login that rules are read for."""
    return Login(
        application_id,
        subject.subject_ref,
        subject.user_type,
        subject.groups or (),
        known=subject.groups is not None,
    )
