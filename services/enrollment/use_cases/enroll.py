"""Begin an enrollment, and tell how it stands."""

from dataclasses import dataclass
from uuid import UUID

from contracts.topics import EVENTS
from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import enrollment_started
from services.enrollment.domain.authenticator import has_room
from services.enrollment.domain.enrollment import LIFETIME, TRIES, Enrollment, Status
from services.enrollment.domain.presence import Presence
from services.enrollment.domain.refusals import Refusal
from services.enrollment.domain.showing import Shown, shown_of
from services.enrollment.domain.wishes import Wish
from services.enrollment.gateways import KnownSubject
from services.enrollment.store.authenticators import active_factors
from services.enrollment.store.enrollments import (
    Seals,
    add_enrollment,
    find_enrollment,
    lock_subject,
)
from services.enrollment.use_cases.beginning import Begun, SlowWork, begin
from services.enrollment.use_cases.people import People
from services.enrollment.use_cases.presences import Presences, absence
from services.enrollment.use_cases.seals import Sealing


@dataclass(frozen=True)
class Started:
    """An enrollment, and what is shown of it."""

    enrollment: Enrollment
    shown: Shown


@dataclass(frozen=True)
class _New:
    """A new enrollment as it is stored, and the proof that the person is present, if one came."""

    enrollment: Enrollment
    seals: Seals
    presence: Presence | None


@dataclass(frozen=True)
class Enroll:
    """Begins enrollments."""

    pool: Pool
    people: People
    presences: Presences
    sealing: Sealing
    slow: SlowWork
    clock: Clock

    async def __call__(self, caller: Caller, wish: Wish) -> Started | Refusal:
        """Begin to enroll; nothing counts until the person proves to have it."""
        asking = await self.people.asking(caller)
        if isinstance(asking, Refusal):
            return asking
        subject = await self.people.known(caller.tenant_id, wish.subject)
        if isinstance(subject, Refusal):
            return subject
        if wish.factor not in self.people.allowed(asking.policy, subject):
            return Refusal.FACTOR_NOT_ALLOWED
        begun = await begin(wish, self.slow)
        if isinstance(begun, Refusal):
            return begun
        started = await self._started(caller, wish, subject, begun)
        if isinstance(started, Refusal):
            return started
        issuer, label = asking.application.name, subject.label
        return Started(started, shown_of(started, begun.secret, issuer=issuer, label=label))

    async def status(self, caller: Caller, enrollment_id: UUID) -> Enrollment | Refusal:
        """Return an enrollment that this application started, without anything secret."""
        async with tenant_transaction(self.pool, caller.tenant_id) as tx:
            stored = await find_enrollment(tx, enrollment_id, caller.application_id)
        return stored.enrollment if stored is not None else Refusal.UNKNOWN

    async def _started(
        self, caller: Caller, wish: Wish, subject: KnownSubject, begun: Begun
    ) -> Enrollment | Refusal:
        presence = await self.presences.read(caller, wish.receipt)
        if isinstance(presence, Refusal):
            return presence
        about = self._enrollment(caller, subject, wish.factor, begun)
        seals = await self._sealed(caller.tenant_id, about, begun, wish.name, subject.label)
        new = _New(about, seals, presence)
        async with tenant_transaction(self.pool, caller.tenant_id) as tx:
            refusal = await self._store(tx, caller, new)
        return about if refusal is None else refusal

    def _enrollment(
        self, caller: Caller, subject: KnownSubject, factor: Factor, begun: Begun
    ) -> Enrollment:
        return Enrollment(
            enrollment_id=new_id(),
            authenticator_id=new_id(),
            subject_ref=subject.subject_ref,
            application_id=caller.application_id,
            factor=factor,
            parameters=begun.parameters,
            status=Status.PENDING,
            tries_left=TRIES,
            expires=self.clock() + LIFETIME,
            confirmed_at=None,
        )

    async def _sealed(
        self, tenant: UUID, about: Enrollment, begun: Begun, name: str | None, label: str
    ) -> Seals:
        becomes, subject = about.authenticator_id, about.subject_ref
        seal_text = self.sealing.seal_name
        return Seals(
            secret=await self.sealing.seal_secret(tenant, about, begun.secret),
            name=await seal_text(tenant, subject, becomes, name) if name else None,
            label=await seal_text(tenant, subject, about.enrollment_id, label),
        )

    async def _store(self, tx: Connection, caller: Caller, new: _New) -> Refusal | None:
        tenant, about, now = caller.tenant_id, new.enrollment, self.clock()
        if not await lock_subject(tx, tenant, about.subject_ref):
            return Refusal.SUBJECT_UNKNOWN
        if not has_room(await active_factors(tx, about.subject_ref), about.factor):
            return Refusal.TOO_MANY_AUTHENTICATORS
        refusal = await absence(tx, caller, about.subject_ref, new.presence)
        if refusal is not None:
            return refusal
        await add_enrollment(tx, tenant, about, seals=new.seals, started=now)
        event = enrollment_started(tenant, about, now=now)
        await announce(tx, topic=EVENTS.name, event=event)
        return None
