"""Begin an enrollment, and tell how it stands."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.codes import CodeChannel
from contracts.roles import Right
from contracts.subjects import Mailbox
from contracts.topics import EVENTS
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import enrollment_started
from services.enrollment.domain.authenticator import BY_PHONE, has_room
from services.enrollment.domain.enrollment import (
    LIFETIME,
    MOST_PENDING,
    TRIES,
    Enrollment,
    Status,
)
from services.enrollment.domain.presence import Presence
from services.enrollment.domain.refusals import Refusal, TooSoon, WrongCode
from services.enrollment.domain.showing import Shown, shown_of
from services.enrollment.domain.wishes import Begun, Wish
from services.enrollment.gateways import KnownSubject
from services.enrollment.store.authenticators import active_factors
from services.enrollment.store.enrollments import (
    Seals,
    add_enrollment,
    cancel_older,
    find_enrollment,
    lock_subject,
)
from services.enrollment.use_cases.beginning import Beginning
from services.enrollment.use_cases.opening import Opening
from services.enrollment.use_cases.people import Asking, People
from services.enrollment.use_cases.presences import Presences, take_presence
from services.enrollment.use_cases.seals import Sealing
from services.enrollment.use_cases.sent_codes import Drafted, Recipient
from services.enrollment.use_cases.staying_on import opens_with_code

NotStarted = Refusal | WrongCode | TooSoon


@dataclass(frozen=True)
class Started:
    """An enrollment, and what is shown of it; a code that was sent can be followed by another."""

    enrollment: Enrollment
    shown: Shown
    next_code_after: datetime | None = None
    shared_mailbox: bool = False


@dataclass(frozen=True)
class _Person:
    """Whom a wish is about, as policy knows them and as they prove to be."""

    asking: Asking
    subject: KnownSubject
    presence: Presence | None
    # The digest of what was given as the code to the login address.
    email_code: bytes | None = field(repr=False)

    @property
    def shared_mailbox(self) -> bool:
        """Tell whether the login address looks like one of several people."""
        return self.subject.mailbox is Mailbox.SHARED_FLAGGED


@dataclass(frozen=True)
class _New:
    """A new enrollment as it is stored, and the code that is to confirm it, if one is sent."""

    enrollment: Enrollment
    seals: Seals
    code: Drafted | None


@dataclass(frozen=True)
class Enroll:
    """Begins enrollments."""

    pool: Pool
    people: People
    presences: Presences
    opening: Opening
    sealing: Sealing
    beginning: Beginning
    clock: Clock

    async def __call__(self, caller: Caller, wish: Wish) -> Started | NotStarted:
        """Begin to enroll; nothing counts until the person proves to have it."""
        person = await self._person(caller, wish)
        if isinstance(person, Refusal):
            return person
        tenant, application = caller.tenant_id, person.asking.application
        about = person.subject.subject_ref
        begun = await self.beginning(tenant, application, about, wish)
        if isinstance(begun, Refusal):
            return begun
        new = await self._new(caller, wish, person, begun)
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await self._store(tx, caller, person, new)
        if isinstance(stored, NotStarted):
            return stored
        label, issuer = person.subject.label, application.name
        shown = shown_of(new.enrollment, begun.secret, issuer=issuer, label=label)
        return Started(new.enrollment, shown, stored, person.shared_mailbox)

    async def status(self, caller: Caller, enrollment_id: UUID) -> Enrollment | Refusal:
        """Return an enrollment that this application started, without anything secret."""
        async with tenant_transaction(self.pool, caller.tenant_id) as tx:
            stored = await find_enrollment(tx, enrollment_id, caller.application_id)
        return stored.enrollment if stored is not None else Refusal.UNKNOWN

    async def _person(self, caller: Caller, wish: Wish) -> _Person | Refusal:
        asking = await self.people.asking(caller)
        if isinstance(asking, Refusal):
            return asking
        subject = await self.people.known(caller.tenant_id, wish.subject)
        if isinstance(subject, Refusal):
            return subject
        if wish.factor not in self.people.allowed(asking.policy, subject):
            return Refusal.FACTOR_NOT_ALLOWED
        if subject.mailbox is Mailbox.SHARED_REFUSED:
            return Refusal.SHARED_MAILBOX
        presence = await self.presences.read(caller, wish.receipt)
        if isinstance(presence, Refusal):
            return presence
        digest = None
        if wish.email_code is not None:
            codes, about = self.opening.codes, subject.subject_ref
            digest = await codes.digest(caller.tenant_id, about, wish.email_code)
        return _Person(asking, subject, presence, digest)

    async def _new(self, caller: Caller, wish: Wish, person: _Person, begun: Begun) -> _New:
        about = self._enrollment(caller, wish, person, begun)
        seals = await self._sealed(caller.tenant_id, about, begun, wish.name, person)
        if wish.factor not in BY_PHONE:
            return _New(about, seals, None)
        to = Recipient(
            tenant=caller.tenant_id,
            subject_ref=about.subject_ref,
            application_id=caller.application_id,
            application=person.asking.application.name,
            channel=CodeChannel(wish.factor.value),
            enrollment_id=about.enrollment_id,
            number=begun.secret.decode(),
        )
        return _New(about, seals, await self.opening.codes.draft(to))

    def _enrollment(self, caller: Caller, wish: Wish, person: _Person, begun: Begun) -> Enrollment:
        return Enrollment(
            enrollment_id=new_id(),
            authenticator_id=new_id(),
            subject_ref=person.subject.subject_ref,
            application_id=caller.application_id,
            factor=wish.factor,
            parameters=begun.parameters,
            status=Status.PENDING,
            tries_left=TRIES,
            expires=self.clock() + LIFETIME,
            confirmed_at=None,
            token_id=begun.token_id,
        )

    async def _sealed(
        self, tenant: UUID, about: Enrollment, begun: Begun, name: str | None, person: _Person
    ) -> Seals:
        becomes, subject = about.authenticator_id, about.subject_ref
        seal_text, label = self.sealing.seal_name, person.subject.label
        return Seals(
            secret=await self.sealing.seal_secret(tenant, about, begun.secret),
            name=await seal_text(tenant, subject, becomes, name) if name else None,
            label=await seal_text(tenant, subject, about.enrollment_id, label),
        )

    async def _store(
        self, tx: Connection, caller: Caller, person: _Person, new: _New
    ) -> datetime | NotStarted | None:
        """Store and announce it; return when another code may be asked for, if one is sent."""
        tenant, about, now = caller.tenant_id, new.enrollment, self.clock()
        if not await lock_subject(tx, tenant, about.subject_ref):
            return Refusal.SUBJECT_UNKNOWN
        if not has_room(await active_factors(tx, about.subject_ref), about.factor):
            return Refusal.TOO_MANY_AUTHENTICATORS
        codes, code = self.opening.codes, new.code
        wait = await codes.too_soon(tx, code, earlier=None) if code is not None else None
        if wait is not None:
            return wait
        vouched = await self._opened(tx, caller, person)
        if not isinstance(vouched, bool):
            return vouched
        shown = person.presence.authenticator_id if vouched and person.presence else None
        about = replace(about, vouched=vouched, vouched_by=shown)
        await cancel_older(tx, about.subject_ref, kept=MOST_PENDING - 1)
        await add_enrollment(tx, tenant, about, seals=new.seals, started=now)
        shared = person.shared_mailbox
        event = enrollment_started(tenant, about, shared_mailbox=shared, now=now)
        await announce(tx, topic=EVENTS.name, event=event)
        if new.code is None:
            return None
        return (await self.opening.codes.send(tx, new.code, earlier=None)).next_after

    async def _opened(
        self, tx: Connection, caller: Caller, person: _Person
    ) -> bool | Refusal | WrongCode:
        """Tell whether a locked subject's enrollment is vouched for, or return why it is closed.

        Proofs are taken. Who shows a factor shows more than who reads the mail.
        """
        about = person.subject.subject_ref
        taken = await take_presence(tx, caller, about, person.presence)
        if isinstance(taken, Refusal) or taken:
            return taken
        if await opens_with_code(tx, caller, person.subject, now=self.clock()):
            refusal = await self.opening.take(tx, caller, about, person.email_code)
            if refusal is not None:
                return refusal
        return Right.SUPPORT in caller.scopes
