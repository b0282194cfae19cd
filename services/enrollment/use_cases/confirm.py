"""Confirm an enrollment by proof of possession; only now there is an authenticator."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.topics import EVENTS
from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import enrolled
from services.enrollment.domain.authenticator import (
    BY_PHONE,
    ONLY_ONE,
    Authenticator,
    has_room,
    is_overtaken,
)
from services.enrollment.domain.authenticator import Status as Standing
from services.enrollment.domain.enrollment import (
    Enrollment,
    Status,
    after_wrong_code,
    confirmed,
    may_repeat,
    status_at,
)
from services.enrollment.domain.proof import (
    Answer,
    Proved,
    Response,
    is_answer,
    proved,
    proved_passkey,
)
from services.enrollment.domain.refusals import ProofRefused, Refusal, WrongCode
from services.enrollment.store.authenticators import add_authenticator, lock_with_status
from services.enrollment.store.enrollments import (
    Seals,
    StoredEnrollment,
    find_enrollment,
    lock_enrollment,
    lock_subject,
    save_confirmed,
    save_wrong_code,
)
from services.enrollment.store.known_secrets import know_secret
from services.enrollment.store.sent_codes import newest_for_enrollment, use_up
from services.enrollment.use_cases.beginning import SlowWork
from services.enrollment.use_cases.remove import Remove, remove_all
from services.enrollment.use_cases.seals import Sealing
from services.enrollment.use_cases.sent_codes import SentCodes, holds
from services.enrollment.use_cases.stock import take_from_stock
from services.enrollment.use_cases.tickets import Tickets
from services.enrollment.use_cases.token_seals import TokenSeals


@dataclass(frozen=True)
class Confirmed:
    """The authenticator is there; the ticket is good for one recovery key.

    `presence` shows for some minutes that the person is there, to enroll a second method with.
    """

    enrollment: Enrollment
    at: datetime
    ticket: str = field(repr=False)
    presence: str = field(repr=False)
    second_method_advised: bool
    # Whether what it took the place of counts no more: None where there was nothing.
    replaced: Standing | None


@dataclass(frozen=True)
class _Done:
    enrollment: Enrollment
    at: datetime
    is_only_one: bool
    replaced: bool = False


@dataclass(frozen=True)
class _Judged:
    """An answer, and what it proves, found out before the transaction."""

    tenant: UUID
    digest: bytes = field(repr=False)
    now: datetime
    is_answer: bool
    proved: Proved | None
    # What is kept in the place of what was sealed, where the proof changed it.
    kept: bytes | None = field(repr=False)
    # By which what was proved is known again.
    mark: bytes | None = field(repr=False)
    # Of a code that was sent: which one is the newest is known under the lock only.
    sent: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Confirm:
    """Judges what confirms enrollments, one at a time for each subject."""

    pool: Pool
    sealing: Sealing
    tickets: Tickets
    remove: Remove
    codes: SentCodes
    tokens: TokenSeals
    slow: SlowWork
    clock: Clock

    async def __call__(
        self, caller: Caller, enrollment_id: UUID, answer: Answer | Response
    ) -> Confirmed | WrongCode | ProofRefused | Refusal:
        """Return what became of the enrollment; a repeat of what confirmed it is no new one."""
        tenant = caller.tenant_id
        async with tenant_transaction(self.pool, tenant) as tx:
            seen = await find_enrollment(tx, enrollment_id, caller.application_id)
        if seen is None:
            return Refusal.UNKNOWN
        about = seen.enrollment.subject_ref
        judged = await self._judged(tenant, seen, answer)
        async with tenant_transaction(self.pool, tenant) as tx:
            await lock_subject(tx, tenant, about)
            outcome = await _judge(tx, await lock_enrollment(tx, enrollment_id), judged)
        if not isinstance(outcome, _Done):
            return outcome
        # What it replaced counts no more, before it is said that this one counts.
        pending = await self.remove.make_effective(tenant, about)
        return self._confirmed(tenant, outcome, is_pending=bool(pending))

    async def _judged(
        self, tenant: UUID, seen: StoredEnrollment, answer: Answer | Response
    ) -> _Judged:
        # What is sealed never changes until it is erased, so it can be opened before the lock.
        about, now, sealed = seen.enrollment, self.clock(), seen.seals.secret
        has_form, shown, kept, sent = is_answer(about, answer), None, None, None
        if sealed is not None and has_form:
            secret = await self.sealing.open_secret(tenant, about, sealed)
            shown = await self._proved(about, secret, answer)
            if shown is not None and shown.secret != secret:
                kept = await self.sealing.seal_secret(tenant, about, shown.secret)
        if isinstance(answer, Answer) and about.factor in BY_PHONE:
            sent = await self.codes.digest(tenant, about.subject_ref, answer.code)
        mark = await self._mark(tenant, about, shown) if shown is not None else None
        digest = await self.sealing.answer_digest(tenant, about, answer.content)
        return _Judged(tenant, digest, now, has_form, shown, kept, mark, sent)

    async def _mark(self, tenant: UUID, about: Enrollment, shown: Proved) -> bytes | None:
        if shown.mark is not None:
            return await self.sealing.lasting_digest(tenant, about.factor, shown.mark)
        if about.factor is Factor.HOTP and about.token_id is None:
            return await self.tokens.secret_digest(tenant, shown.secret)
        return None

    async def _proved(
        self, about: Enrollment, secret: bytes, answer: Answer | Response
    ) -> Proved | None:
        now = self.clock()
        if isinstance(answer, Response):
            return proved_passkey(secret, answer)
        if about.factor is Factor.PIN:
            return await self.slow(lambda: proved(about, secret, answer, at=now))
        return proved(about, secret, answer, at=now)

    def _confirmed(self, tenant: UUID, done: _Done, *, is_pending: bool) -> Confirmed:
        gone = Standing.REMOVING if is_pending else Standing.REMOVED
        return Confirmed(
            done.enrollment,
            done.at,
            ticket=self.tickets.issue(tenant, done.enrollment, at=done.at),
            presence=self.tickets.presence(done.enrollment, at=done.at),
            second_method_advised=done.is_only_one,
            replaced=gone if done.replaced else None,
        )


async def _judge(
    tx: Connection, stored: StoredEnrollment | None, judged: _Judged
) -> _Done | WrongCode | ProofRefused | Refusal:
    if stored is None:
        return Refusal.UNKNOWN
    status = status_at(stored.enrollment, judged.now)
    if status is Status.CONFIRMED:
        return await _repeated(tx, stored, judged)
    if status is not Status.PENDING:
        return Refusal.GONE
    if not judged.is_answer:
        return Refusal.MALFORMED_CODE
    shown = await _newest_code(tx, stored.enrollment, judged) or judged.proved
    if shown is None:
        left = after_wrong_code(stored.enrollment)
        # Returned and not raised: the lost try must be committed.
        await save_wrong_code(tx, left)
        refused = ProofRefused if left.factor is Factor.PASSKEY else WrongCode
        return refused(left.tries_left)
    # As they are now: keys may have been replaced since they were opened.
    seals = stored.seals if judged.kept is None else replace(stored.seals, secret=judged.kept)
    return await _confirm(tx, stored.enrollment, judged, seals=seals, shown=shown)


async def _newest_code(tx: Connection, about: Enrollment, judged: _Judged) -> Proved | None:
    """Return what a code proves that was sent: only the newest one is good."""
    if judged.sent is None:
        return None
    newest = await newest_for_enrollment(tx, about.enrollment_id)
    is_right = newest is not None and holds(newest, judged.sent, now=judged.now)
    # What is kept is what was sealed: the number.
    return Proved(b"") if is_right else None


async def _confirm(
    tx: Connection, about: Enrollment, judged: _Judged, *, seals: Seals, shown: Proved
) -> _Done | Refusal:
    tenant, now = judged.tenant, judged.now
    active = await lock_with_status(tx, about.subject_ref, Standing.ACTIVE)
    if is_overtaken(about, active):
        return Refusal.NOT_PRESENT
    if not has_room([one.factor for one in active], about.factor):
        return Refusal.TOO_MANY_AUTHENTICATORS
    mark = judged.mark
    if about.factor is Factor.HOTP and mark is not None:
        # It will not be somebody's again in any way: its codes would be good twice.
        if not await know_secret(tx, tenant, mark, about):
            return Refusal.ALREADY_ENROLLED
        mark = None
    refusal = await take_from_stock(tx, about)
    if refusal is not None:
        return refusal
    replaced = [one for one in active if one.factor is about.factor and one.factor in ONLY_ONE]
    await remove_all(tx, tenant, replaced, reset_id=None, now=now)
    done = confirmed(about, now)
    spent = shown.last_step
    if not await add_authenticator(tx, tenant, done, seals=seals, last_step=spent, mark=mark):
        return Refusal.ALREADY_ENROLLED
    await save_confirmed(tx, done, code_digest=judged.digest)
    await use_up(tx, about.enrollment_id)
    await announce(tx, topic=EVENTS.name, event=enrolled(tenant, done, now=now))
    only = _is_only_one(active, about)
    return _Done(done, now, is_only_one=only, replaced=bool(replaced))


async def _repeated(tx: Connection, stored: StoredEnrollment, judged: _Judged) -> _Done | Refusal:
    """Answer again what was answered before, where the same answer asks; guessing costs tries."""
    about, expected = stored.enrollment, stored.confirmed_code
    at = about.confirmed_at
    if expected is None or at is None or not may_repeat(about, judged.now):
        return Refusal.ALREADY_CONFIRMED
    if not hmac.compare_digest(expected, judged.digest):
        await save_wrong_code(tx, after_wrong_code(about))
        return Refusal.ALREADY_CONFIRMED
    active = await lock_with_status(tx, about.subject_ref, Standing.ACTIVE)
    return _Done(about, at, is_only_one=_is_only_one(active, about))


def _is_only_one(active: Sequence[Authenticator], about: Enrollment) -> bool:
    """Tell whether the person has no other way in, if this one is lost."""
    others = [one for one in active if one.authenticator_id != about.authenticator_id]
    return all(one.factor is about.factor and one.factor in ONLY_ONE for one in others)
