"""Confirm an enrollment by the current code; only now there is an authenticator."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.topics import EVENTS
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import enrolled
from services.enrollment.domain.enrollment import (
    MOST_AUTHENTICATORS,
    Enrollment,
    Status,
    after_wrong_code,
    confirmed,
    may_repeat,
    status_at,
)
from services.enrollment.domain.refusals import Refusal, WrongCode
from services.enrollment.domain.totp import matching_step
from services.enrollment.store.authenticators import add_authenticator, count_active
from services.enrollment.store.enrollments import (
    StoredEnrollment,
    find_enrollment,
    lock_enrollment,
    lock_subject,
    save_confirmed,
    save_wrong_code,
)
from services.enrollment.use_cases.seals import Sealing
from services.enrollment.use_cases.tickets import Tickets


@dataclass(frozen=True)
class Confirmed:
    """The authenticator is there; the ticket is good for one recovery key."""

    enrollment: Enrollment
    at: datetime
    ticket: str = field(repr=False)


@dataclass(frozen=True)
class _Done:
    enrollment: Enrollment
    at: datetime


@dataclass(frozen=True)
class _Answer:
    """A code, and all that is needed to judge it, made before the transaction."""

    tenant: UUID
    code: str = field(repr=False)
    secret: bytes | None = field(repr=False)
    digest: bytes = field(repr=False)
    now: datetime


@dataclass(frozen=True)
class Confirm:
    """Judges codes that confirm enrollments, one at a time for each subject."""

    pool: Pool
    sealing: Sealing
    tickets: Tickets
    clock: Clock

    async def __call__(
        self, caller: Caller, enrollment_id: UUID, code: str
    ) -> Confirmed | WrongCode | Refusal:
        """Return what became of the enrollment; a repeat of what confirmed it is no new one."""
        tenant = caller.tenant_id
        async with tenant_transaction(self.pool, tenant) as tx:
            seen = await find_enrollment(tx, enrollment_id, caller.application_id)
        if seen is None:
            return Refusal.UNKNOWN
        answer = await self._answer(tenant, seen, code)
        async with tenant_transaction(self.pool, tenant) as tx:
            await lock_subject(tx, tenant, seen.enrollment.subject_ref)
            outcome = await _judge(tx, await lock_enrollment(tx, enrollment_id), answer)
        if not isinstance(outcome, _Done):
            return outcome
        ticket = self.tickets.issue(tenant, outcome.enrollment, at=outcome.at)
        return Confirmed(outcome.enrollment, outcome.at, ticket)

    async def _answer(self, tenant: UUID, seen: StoredEnrollment, code: str) -> _Answer:
        # What is sealed never changes until it is erased, so it can be opened before the lock.
        sealed, about = seen.seals.secret, seen.enrollment
        secret = await self.sealing.open_secret(tenant, about, sealed) if sealed else None
        digest = await self.sealing.code_digest(tenant, about, code)
        return _Answer(tenant, code=code, secret=secret, digest=digest, now=self.clock())


async def _judge(
    tx: Connection, stored: StoredEnrollment | None, answer: _Answer
) -> _Done | WrongCode | Refusal:
    if stored is None:
        return Refusal.UNKNOWN
    status = status_at(stored.enrollment, answer.now)
    if status is Status.CONFIRMED:
        return await _repeated(tx, stored, answer)
    if status is not Status.PENDING or answer.secret is None:
        return Refusal.GONE
    return await _confirm(tx, stored, answer, secret=answer.secret)


async def _confirm(
    tx: Connection, stored: StoredEnrollment, answer: _Answer, *, secret: bytes
) -> _Done | WrongCode | Refusal:
    about, tenant = stored.enrollment, answer.tenant
    step = matching_step(secret, answer.code, parameters=about.parameters, at=answer.now)
    if step is None:
        left = after_wrong_code(about)
        # Returned and not raised: the lost try must be committed.
        await save_wrong_code(tx, left)
        return WrongCode(left.tries_left)
    if await count_active(tx, about.subject_ref) >= MOST_AUTHENTICATORS:
        return Refusal.TOO_MANY_AUTHENTICATORS
    done = confirmed(about, answer.now)
    await add_authenticator(tx, tenant, done, seals=stored.seals, last_step=step)
    await save_confirmed(tx, done, code_digest=answer.digest)
    await announce(tx, topic=EVENTS.name, event=enrolled(tenant, done, now=answer.now))
    return _Done(done, answer.now)


async def _repeated(tx: Connection, stored: StoredEnrollment, answer: _Answer) -> _Done | Refusal:
    """Answer again what was answered before, where the same code asks; guessing costs tries."""
    about, expected = stored.enrollment, stored.confirmed_code
    at = about.confirmed_at
    if expected is None or at is None or not may_repeat(about, answer.now):
        return Refusal.ALREADY_CONFIRMED
    if not hmac.compare_digest(expected, answer.digest):
        await save_wrong_code(tx, after_wrong_code(about))
        return Refusal.ALREADY_CONFIRMED
    return _Done(about, at)
