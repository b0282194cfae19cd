"""Begin an enrollment, and tell how it stands."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from contracts.envelope import application_key
from contracts.policy import ApplicationState, PolicyState
from contracts.rules import Login, factors_for
from contracts.topics import APPLICATIONS, EVENTS, POLICIES
from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.copies import copy_of
from libs.messaging.outbox import announce
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller
from libs.web.internal_client import Unreachable
from services.enrollment.announcements import enrollment_started
from services.enrollment.domain.enrollment import (
    LIFETIME,
    MOST_AUTHENTICATORS,
    TRIES,
    Enrollment,
    Status,
)
from services.enrollment.domain.otpauth import Shown, shown
from services.enrollment.domain.refusals import Refusal
from services.enrollment.domain.totp import SECRET_LENGTH, STANDARD
from services.enrollment.gateways import KnownSubject, Policy
from services.enrollment.store.authenticators import count_active
from services.enrollment.store.enrollments import (
    Seals,
    add_enrollment,
    find_enrollment,
    lock_subject,
)
from services.enrollment.use_cases.seals import Sealing


@dataclass(frozen=True)
class Wish:
    """What an application asks to enroll."""

    subject: str = field(repr=False)
    factor: Factor
    name: str | None = field(repr=False)


@dataclass(frozen=True)
class Started:
    """A new enrollment, and what is shown of it this once."""

    enrollment: Enrollment
    shown: Shown


@dataclass(frozen=True)
class _Asking:
    """An application's name, and what it asks."""

    name: str
    policy: PolicyState


@dataclass(frozen=True)
class Enroll:
    """Begins enrollments."""

    pool: Pool
    policy: Policy
    sealing: Sealing
    clock: Clock

    async def __call__(self, caller: Caller, wish: Wish) -> Started | Refusal:
        """Begin to enroll; nothing counts until a code confirms it."""
        asking = await self._asking(caller)
        if isinstance(asking, Refusal):
            return asking
        subject = await resolve(self.policy, caller.tenant_id, wish.subject)
        if isinstance(subject, Refusal):
            return subject
        if wish.factor not in self._allowed(asking.policy, caller, subject):
            return Refusal.FACTOR_NOT_ALLOWED
        enrollment = self._enrollment(caller, subject, wish.factor)
        secret = secrets.token_bytes(SECRET_LENGTH)
        refusal = await self._store(caller.tenant_id, enrollment, secret, name=wish.name)
        if refusal is not None:
            return refusal
        label = subject.label
        return Started(enrollment, shown(secret, STANDARD, issuer=asking.name, label=label))

    async def status(self, caller: Caller, enrollment_id: UUID) -> Enrollment | Refusal:
        """Return an enrollment that this application started, without anything secret."""
        async with tenant_transaction(self.pool, caller.tenant_id) as tx:
            stored = await find_enrollment(tx, enrollment_id, caller.application_id)
        return stored.enrollment if stored is not None else Refusal.UNKNOWN

    async def _asking(self, caller: Caller) -> _Asking | Refusal:
        key = application_key(caller.tenant_id, caller.application_id)
        async with tenant_transaction(self.pool, caller.tenant_id) as tx:
            policy = await copy_of(tx, POLICIES.name, key)
            application = await copy_of(tx, APPLICATIONS.name, key)
        if policy is None or application is None:
            return Refusal.POLICY_UNKNOWN
        name = ApplicationState.model_validate(application).name
        return _Asking(name, PolicyState.model_validate(policy))

    def _allowed(
        self, policy: PolicyState, caller: Caller, subject: KnownSubject
    ) -> Sequence[Factor]:
        login = login_of(caller.application_id, subject)
        return factors_for(policy.rules, login, self.clock(), otherwise=policy.factors)

    def _enrollment(self, caller: Caller, subject: KnownSubject, factor: Factor) -> Enrollment:
        return Enrollment(
            enrollment_id=new_id(),
            authenticator_id=new_id(),
            subject_ref=subject.subject_ref,
            application_id=caller.application_id,
            factor=factor,
            parameters=STANDARD,
            status=Status.PENDING,
            tries_left=TRIES,
            expires=self.clock() + LIFETIME,
            confirmed_at=None,
        )

    async def _store(
        self, tenant: UUID, enrollment: Enrollment, secret: bytes, *, name: str | None
    ) -> Refusal | None:
        sealed = await self.sealing.seal_secret(tenant, enrollment, secret)
        named = await self.sealing.seal_name(tenant, enrollment, name) if name else None
        now = self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            if not await lock_subject(tx, tenant, enrollment.subject_ref):
                return Refusal.SUBJECT_UNKNOWN
            if await count_active(tx, enrollment.subject_ref) >= MOST_AUTHENTICATORS:
                return Refusal.TOO_MANY_AUTHENTICATORS
            seals = Seals(sealed, named)
            await add_enrollment(tx, tenant, enrollment, seals=seals, started=now)
            event = enrollment_started(tenant, enrollment, now=now)
            await announce(tx, topic=EVENTS.name, event=event)
        return None


async def resolve(policy: Policy, tenant: UUID, subject: str) -> KnownSubject | Refusal:
    """Return whom the application means."""
    try:
        known = await policy.resolve(tenant, subject)
    except Unreachable:
        return Refusal.POLICY_UNREACHABLE
    return known if known is not None else Refusal.SUBJECT_UNKNOWN


def login_of(application_id: UUID, subject: KnownSubject) -> Login:
    """Return the login that rules are read for."""
    return Login(
        application_id,
        subject.subject_ref,
        subject.user_type,
        subject.groups or (),
        known=subject.groups is not None,
    )
