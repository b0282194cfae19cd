"""Judge a code: reserve, compute, settle, reply (DESIGN.md section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from contracts.envelope import application_key
from contracts.topics import EVENTS
from contracts.verification import FailureReason
from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.outbox import announce
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import SealBroken
from libs.sealing.trouble import KeyDestroyed, KeyRetired, KeyTrouble
from services.verification import announcements
from services.verification.coarse import Coarse
from services.verification.domain.budget import family_of_code, tried_on
from services.verification.domain.coarse import Limits
from services.verification.domain.outcome import (
    EVALUATED,
    Accepted,
    CallerChanged,
    KeyReused,
    Outcome,
    PersonChanged,
    Refused,
    Why,
    why_lost,
)
from services.verification.domain.promotion import Spending, is_fenced_off, wait_behind
from services.verification.entries import Acceptance, Entry, Settled
from services.verification.lookups import Asked, Lookups
from services.verification.reserve import CachedAuthenticator
from services.verification.settle import ANSWERS_KEPT, AuthorityDown, ClockOff, Settler
from services.verification.store import subjects as store
from services.verification.store.standing import Standing, standing_of
from services.verification.use_cases.compute import Compute, Guess, Match
from services.verification.use_cases.guesses import Charged, Guesses, Unpaid
from services.verification.use_cases.pins import TooManyPins
from services.verification.use_cases.question import (
    Attempt,
    Question,
    first_answer,
    question_of,
)
from services.verification.use_cases.refusals import Refusals

# A person may change while a code is judged, also by what others ask of the same person; who
# changes more often than this is not judged now.
_MOST_READINGS = 10


class _Paid(msgspec.Struct, frozen=True):
    """A question about a known subject, whose guess is charged."""

    question: Question
    subject_ref: UUID
    charged: Charged


@dataclass(frozen=True)
class Verify:
    """Judges codes; nothing that happens in here can accept one but settle."""

    pool: Pool
    lookups: Lookups
    guesses: Guesses
    compute: Compute
    settler: Settler
    refusals: Refusals
    coarse: Coarse
    limits: Limits
    data_keys: DataKeys
    clock: Clock

    async def __call__(self, attempt: Attempt) -> Outcome:
        """Return how the code was judged, once that is durable; raises AuthorityDown."""
        try:
            question = await question_of(
                attempt, data_keys=self.data_keys, clock=self.clock, limits=self.limits
            )
            return await self._judge(question)
        except KeyTrouble:
            # It says better what is wrong.
            raise
        except INFRASTRUCTURE_ERRORS as error:
            raise AuthorityDown(type(error).__name__) from None

    async def _judge(self, question: Question) -> Outcome:
        subject = await self.lookups.subject_ref(question.name)
        if subject is None:
            return await self._unjudged(question)
        spent = await self.coarse.spend(question.buckets)
        if spent is None:
            return await self._refuse(question, subject, Refused(Why.LIMIT))
        outcome: Outcome | None = None
        try:
            outcome = await self._judge_fresh(question, subject)
        finally:
            # Only what was looked at and was wrong counts: neither an outage nor a flood at one who
            # is locked may shut the others out.
            if not (isinstance(outcome, Refused) and outcome.why in EVALUATED):
                self.coarse.give_back(spent)
        return outcome

    async def _judge_fresh(self, question: Question, subject: UUID) -> Outcome:
        """Judge by what the person is when it is settled."""
        unreadable: KeyTrouble | SealBroken | None = None
        for _ in range(_MOST_READINGS):
            try:
                outcome = await self._judge_known(question, subject)
            except (KeyRetired, KeyDestroyed, SealBroken) as error:
                if unreadable is not None and not isinstance(error, KeyRetired):
                    # So is what PostgreSQL has.
                    raise
                # The copy is of before the row was sealed anew, or of another timeline.
                unreadable = error
                await self.guesses.is_stale(question.tenant, subject)
                continue
            if not isinstance(outcome, PersonChanged):
                return outcome
        raise AuthorityDown("a person changes all the time")

    async def _judge_known(self, question: Question, subject: UUID) -> Outcome | PersonChanged:
        attempt = question.attempt
        charged = await self.guesses.reserve(
            Unpaid(
                question.tenant,
                subject,
                question.now,
                tried_on(attempt.code, attempt.authenticator_id),
                family_of_code(attempt.code),
            )
        )
        if isinstance(charged, Refused):
            return await self._refuse(question, subject, charged)
        paid = _Paid(question, subject, charged)
        usable = attempt.usable(charged.copy, subject, question.now)
        if not usable:
            await self.guesses.never_made(question.tenant, subject, charged)
            self.guesses.is_of_no_use(question.tenant, subject, charged)
            why = attempt.why_nothing(charged.copy, subject, question.now)
            return await self._unjudged(question, why)
        match = await self._compute(paid, usable)
        if match is None:
            return await self._wrong(paid, usable)
        return await self._accept(paid, match)

    async def _compute(self, paid: _Paid, usable: Sequence[CachedAuthenticator]) -> Match | None:
        question = paid.question
        guess = Guess(question.attempt.code, question.attempt.next_code, question.now)
        try:
            return await self.compute(
                usable, guess, tenant=question.tenant, subject_ref=paid.subject_ref
            )
        except TooManyPins:
            await self.guesses.never_made(question.tenant, paid.subject_ref, paid.charged)
            raise AuthorityDown("too many PINs at once") from None
        except (KeyTrouble, SealBroken):
            await self.guesses.never_made(question.tenant, paid.subject_ref, paid.charged)
            raise

    async def _refuse(self, question: Question, subject: UUID, refused: Refused) -> Outcome:
        first = await self._repeated(question)
        if first is not None:
            return first
        if refused.why is Why.NOTHING_ENROLLED:
            self.lookups.forget(question.name)
        self.refusals.count(
            refused,
            tenant=question.tenant,
            subject=subject,
            application_id=question.attempt.caller.application_id,
        )
        return refused

    async def _unjudged(self, question: Question, why: Why = Why.NOTHING_ENROLLED) -> Outcome:
        # The name may be somebody else's by now.
        self.lookups.forget(question.name)
        return await self._repeated(question) or Refused(why)

    async def _repeated(self, question: Question) -> Accepted | CallerChanged | None:
        """Return the first answer where no code is judged: nothing that is worth guessing at.

        Not a PIN's, which may be right again, and not that the key was used for another code.
        """
        first = await self._first_answer(question)
        if isinstance(first, Accepted) and first.factor != Factor.PIN:
            return first
        return first if isinstance(first, CallerChanged) else None

    async def _wrong(self, paid: _Paid, usable: Sequence[CachedAuthenticator]) -> Outcome:
        # A repeat may come when its code, which was right, is too old to be judged again.
        first = await self._first_answer(paid.question)
        if isinstance(first, Accepted | CallerChanged):
            await self.guesses.never_made(paid.question.tenant, paid.subject_ref, paid.charged)
            return first
        refused = await self._fail(paid, usable, Why.WRONG_CODE)
        return first or refused

    async def _accept(self, paid: _Paid, match: Match) -> Outcome | PersonChanged:
        question, one = paid.question, match.authenticator
        policy = question.attempt.policy
        event = announcements.verified(
            tenant=question.tenant,
            subject_ref=paid.subject_ref,
            application_id=question.attempt.caller.application_id,
            authenticator_id=one.authenticator_id,
            factor=one.factor,
            now=question.now,
            traceparent=question.attempt.traceparent,
            policy_version=policy.version,
            rules_digest=policy.rules_digest,
        )
        acceptance = Acceptance(
            one.authenticator_id,
            one.epoch,
            match.step,
            question.idempotency,
            paid.charged.copy.version,
            pair=question.attempt.next_code is not None,
        )
        settled = await self._settle(paid, event, acceptance=acceptance)
        if not settled.took_effect:
            return await self._lost(paid, match, settled)
        moved = one.factor == Factor.HOTP
        self.guesses.was_right(
            question.tenant, paid.subject_ref, paid.charged, settled, moved=moved
        )
        return Accepted(event.id, one.authenticator_id, one.factor, question.now, policy.version)

    async def _lost(self, paid: _Paid, match: Match, settled: Settled) -> Outcome | PersonChanged:
        """The code matched, but PostgreSQL said no: a repeat, a replay, a limit, a stale copy."""
        question, one = paid.question, match.authenticator
        caller = question.attempt.caller
        first = await self._first_answer(question)
        if isinstance(first, Accepted | CallerChanged):
            await self.guesses.never_made(question.tenant, paid.subject_ref, paid.charged)
            return first
        if settled.version not in (0, paid.charged.copy.version):
            return await self._read_again(paid, settled.version)
        async with tenant_transaction(self.pool, question.tenant) as tx:
            standing = await standing_of(
                tx,
                paid.subject_ref,
                application=application_key(caller.tenant, caller.application_id),
                authenticator_id=one.authenticator_id,
                epoch=one.epoch,
                step=match.step,
            )
        known = (caller.version, caller.policy_version)
        if (standing.application_version, standing.policy_version) != known:
            await self.guesses.never_made(question.tenant, paid.subject_ref, paid.charged)
            return CallerChanged()
        fenced_off = _fenced_off(question, match, standing)
        if fenced_off is not None:
            await self._announce_doubt(paid, one)
            await self.guesses.never_made(question.tenant, paid.subject_ref, paid.charged)
            return fenced_off
        if standing.spent is not True:
            # The copy was wrong about something: the next guess begins with what PostgreSQL knows.
            # (Not of a replay: what is spent a copy need not know, and a flood of them is cheap.)
            await self.guesses.is_stale(question.tenant, paid.subject_ref)
        outcome = await self._fail(paid, [one], why_lost(standing.spent))
        return first or outcome

    async def _read_again(self, paid: _Paid, version: int) -> PersonChanged:
        tenant, subject = paid.question.tenant, paid.subject_ref
        await self.guesses.never_made(tenant, subject, paid.charged)
        await self.guesses.is_outdated(tenant, subject, version, paid.charged.family)
        return PersonChanged()

    async def _announce_doubt(self, paid: _Paid, one: CachedAuthenticator) -> None:
        """Announce that a code may have been used before; it was right, so no failure counts."""
        question = paid.question
        event = self._failed(paid, one.authenticator_id, FailureReason.REPLAYED)
        async with tenant_transaction(self.pool, question.tenant) as tx:
            await store.lock_subject(tx, question.tenant, paid.subject_ref)
            await announce(tx, topic=EVENTS.name, event=event)

    def _failed(
        self, paid: _Paid, authenticator_id: UUID | None, reason: FailureReason
    ) -> CloudEvent:
        question, policy = paid.question, paid.question.attempt.policy
        return announcements.verification_failed(
            tenant=question.tenant,
            subject_ref=paid.subject_ref,
            application_id=question.attempt.caller.application_id,
            authenticator_id=authenticator_id,
            reason=reason,
            now=question.now,
            traceparent=question.attempt.traceparent,
            policy_version=policy.version,
            rules_digest=policy.rules_digest,
        )

    async def _fail(self, paid: _Paid, tried: Sequence[CachedAuthenticator], why: Why) -> Outcome:
        question = paid.question
        named = tried[0].authenticator_id if len(tried) == 1 else None
        event = self._failed(paid, named, FailureReason(why.value))
        settled = await self._settle(paid, event, acceptance=None)
        if not settled.took_effect:
            # The name is nobody's any more.
            self.lookups.forget(question.name)
            return Refused(Why.NOTHING_ENROLLED)
        self.guesses.was_wrong(
            question.tenant,
            paid.subject_ref,
            paid.charged,
            settled,
            moved=any(one.factor == Factor.HOTP for one in tried),
        )
        return Refused(why)

    async def _settle(
        self, paid: _Paid, event: CloudEvent, *, acceptance: Acceptance | None
    ) -> Settled:
        question = paid.question
        entry = Entry(
            caller=question.attempt.caller,
            subject_ref=paid.subject_ref,
            lookup=question.name.lookup,
            now=question.now,
            weight=paid.charged.weight,
            charged=paid.charged.durably,
            family=paid.charged.family,
            acceptance=acceptance,
            event=event,
            lock_event=_lock_event(paid) if acceptance is None else None,
        )
        try:
            return await self.settler.settle(entry)
        except ClockOff:
            # Right or wrong, the answer is the same: nothing was learnt from this guess.
            await self.guesses.never_made(question.tenant, paid.subject_ref, paid.charged)
            raise

    async def _first_answer(
        self, question: Question
    ) -> Accepted | KeyReused | CallerChanged | None:
        """Return what the same Idempotency-Key was answered with before."""
        asked = question.idempotency
        if asked is None:
            return None
        first = await self.lookups.answer(
            Asked(
                question.tenant,
                question.attempt.caller.application_id,
                asked.key,
                question.now - ANSWERS_KEPT,
                question.attempt.caller.version,
            )
        )
        return first_answer(first, asked) if first is not None else None


def _fenced_off(question: Question, match: Match, standing: Standing) -> Refused | None:
    spending = Spending(
        factor=match.authenticator.factor,
        step=match.step,
        period=standing.period,
        fences=standing.fences,
        pair=question.attempt.next_code is not None,
    )
    # What counts no more, or was spent, is no matter of the promotion.
    if standing.spent is not False or not is_fenced_off(spending, standing.fence, question.now):
        return None
    return Refused(Why.AFTER_FAILOVER, wait_behind(spending, standing.fence, question.now))


def _lock_event(paid: _Paid) -> CloudEvent:
    question = paid.question
    return announcements.locked(
        tenant=question.tenant,
        subject_ref=paid.subject_ref,
        now=question.now,
        traceparent=question.attempt.traceparent,
    )
