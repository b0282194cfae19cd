"""Switch off somebody's second step, where nothing requires it (requirement E5)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.decisions import Asked, asked
from contracts.envelope import application_key
from contracts.policy import ApplicationState, PolicyState
from contracts.rules import Disabler
from contracts.topics import APPLICATIONS, EVENTS, POLICIES
from libs.clock import Clock
from libs.messaging.copies import copies_of, copy_of
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import disabled
from services.enrollment.domain.authenticator import Status
from services.enrollment.domain.refusals import Refusal, StaysOn
from services.enrollment.gateways import KnownSubject, Policy
from services.enrollment.store.authenticators import lock_with_status
from services.enrollment.store.enrollments import cancel_enrollments, lock_subject
from services.enrollment.use_cases.enroll import login_of, resolve
from services.enrollment.use_cases.remove import Remove, remove_all


@dataclass(frozen=True)
class Disable:
    """Removes all authenticators of a person, unless they would have to enroll again."""

    pool: Pool
    policy: Policy
    remove: Remove
    clock: Clock

    async def __call__(
        self, caller: Caller, subject: str, *, by: Disabler
    ) -> Status | Refusal | StaysOn:
        """Return how far it is; asking again is harmless."""
        tenant, now = caller.tenant_id, self.clock()
        known = await resolve(self.policy, tenant, subject)
        if isinstance(known, Refusal):
            return known
        about = known.subject_ref
        async with tenant_transaction(self.pool, tenant) as tx:
            refused = await _refused(tx, tenant, known, by=by, now=now)
            if refused is not None:
                return refused
            await lock_subject(tx, tenant, about)
            active = await lock_with_status(tx, about, Status.ACTIVE)
            removed = await remove_all(tx, tenant, active, reset_id=None, now=now)
            await cancel_enrollments(tx, about)
            if removed:
                event = disabled(caller, about, by=by, removed=removed, now=now)
                await announce(tx, topic=EVENTS.name, event=event)
        pending = await self.remove.make_effective(tenant, about)
        return Status.REMOVING if pending else Status.REMOVED


async def _refused(
    tx: Connection, tenant: UUID, known: KnownSubject, *, by: Disabler, now: datetime
) -> StaysOn | Refusal | None:
    for application in await copies_of(tx, APPLICATIONS.name):
        state = ApplicationState.model_validate(application)
        if not state.asks:
            continue
        # One at a time: all rules of many applications are seconds of work.
        key = application_key(tenant, state.application_id)
        policy = await copy_of(tx, POLICIES.name, key)
        if policy is None:
            return Refusal.POLICY_UNKNOWN
        refused = _asked(PolicyState.model_validate(policy), known, now).disabling_refused(by)
        if refused is not None:
            return StaysOn(refused)
    return None


def _asked(policy: PolicyState, known: KnownSubject, now: datetime) -> Asked:
    login = login_of(policy.application_id, known)
    return asked(policy.rules, login, now, otherwise=policy.own_terms)
