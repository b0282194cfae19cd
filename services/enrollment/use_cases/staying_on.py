"""What the rules of all applications ask together: the authenticators are the tenant's.

Whether somebody's second step has to stay on (E5), and whether an enrollment opens with a code that
was sent to the login address (D2).
"""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from uuid import UUID

from contracts.decisions import Asked, DisablingRefused, asked
from contracts.envelope import application_key
from contracts.policy import ApplicationState, PolicyState
from contracts.rules import Disabler, Login, Rule, RuleRequirement, doubt, passed_over
from contracts.topics import APPLICATIONS, POLICIES
from libs.messaging.copies import copies_of, copy_of
from libs.postgres.pool import Connection
from libs.web.callers import Caller
from services.enrollment.domain.refusals import Refusal, StaysOn
from services.enrollment.gateways import KnownSubject
from services.enrollment.use_cases.people import login_of


async def disabling_refused(
    tx: Connection, tenant: UUID, known: KnownSubject, *, by: Disabler, now: datetime
) -> StaysOn | Refusal | None:
    """Return why all that a person has cannot be taken away."""
    async for policy in _where_people_log_in(tx, tenant):
        if policy is None:
            return Refusal.POLICY_UNKNOWN
        refused = _asked(policy, known, now).disabling_refused(by)
        if refused is not None:
            return StaysOn(refused)
    return None


async def opens_with_code(
    tx: Connection, caller: Caller, known: KnownSubject, *, now: datetime
) -> bool:
    """Tell whether an application asks for a code to the login address before an enrollment.

    Whichever: what is enrolled at one of them counts at all of them.
    """
    own = application_key(caller.tenant_id, caller.application_id)
    stored = await copy_of(tx, POLICIES.name, own)
    if stored is not None and _asked(PolicyState.model_validate(stored), known, now).email_code:
        return True
    async for policy in _where_people_log_in(tx, caller.tenant_id):
        if policy is not None and _asked(policy, known, now).email_code:
            return True
    return False


async def last_one_refused(
    tx: Connection, tenant: UUID, subject_ref: UUID, *, by: Disabler, now: datetime
) -> StaysOn | Refusal | None:
    """Return why the last authenticator of somebody may have to stay.

    What the person is nobody has said here, so that every rule counts that may be about them.
    """
    async for policy in _where_people_log_in(tx, tenant):
        if policy is None:
            return Refusal.POLICY_UNKNOWN
        refused = _last_one_refused(policy, subject_ref, by=by, now=now)
        if refused is not None:
            return StaysOn(refused)
    return None


async def _where_people_log_in(tx: Connection, tenant: UUID) -> AsyncIterator[PolicyState | None]:
    """Yield each policy, one at a time: all rules of many applications are seconds of work."""
    for application in await copies_of(tx, APPLICATIONS.name):
        state = ApplicationState.model_validate(application)
        if state.asks:
            key = application_key(tenant, state.application_id)
            policy = await copy_of(tx, POLICIES.name, key)
            yield PolicyState.model_validate(policy) if policy is not None else None


def _last_one_refused(
    policy: PolicyState, subject_ref: UUID, *, by: Disabler, now: datetime
) -> DisablingRefused | None:
    login = Login(policy.application_id, subject_ref, known=False)
    rules = list(_perhaps_deciding(policy, login, now))
    # An administrator who takes away what is required has the person enroll anew (C6).
    is_person = by is Disabler.PERSON
    otherwise = not any(doubt(rule, login) is None for rule in rules)
    if is_person and otherwise and policy.own_terms.requirement is RuleRequirement.REQUIRED:
        return DisablingRefused.MANDATORY
    for rule in rules:
        if rule.requirement is RuleRequirement.REQUIRED:
            if is_person:
                return DisablingRefused.MANDATORY
        elif by not in rule.may_disable:
            return DisablingRefused.NOT_ALLOWED
    return None


def _perhaps_deciding(policy: PolicyState, login: Login, now: datetime) -> Iterator[Rule]:
    for rule in policy.rules:
        if passed_over(rule, login, now) is None:
            yield rule
            if doubt(rule, login) is None:
                return


def _asked(policy: PolicyState, known: KnownSubject, now: datetime) -> Asked:
    login = login_of(policy.application_id, known)
    return asked(policy.rules, login, now, otherwise=policy.own_terms)
