"""The code to the login address with which an enrollment opens, where a rule asks for it (D2)."""

from dataclasses import dataclass, replace
from uuid import UUID

from contracts.codes import CodeChannel
from contracts.subjects import Mailbox
from contracts.topics import EVENTS
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import enrollment_opened
from services.enrollment.domain.refusals import Refusal, TooSoon, WrongCode
from services.enrollment.domain.sent_codes import Status, after_wrong_code, is_good
from services.enrollment.store.enrollments import lock_subject
from services.enrollment.store.sent_codes import newest_for_opening, save_code
from services.enrollment.use_cases.people import People
from services.enrollment.use_cases.sent_codes import Recipient, Sent, SentCodes, holds

# Nobody would get the code, or it would open nothing.
_NO_MAIL = {
    Mailbox.NONE: Refusal.NO_ADDRESS,
    Mailbox.SHARED_REFUSED: Refusal.SHARED_MAILBOX,
}


@dataclass(frozen=True)
class Opening:
    """Sends the code, and takes it once."""

    pool: Pool
    people: People
    codes: SentCodes

    async def send(self, caller: Caller, subject: str) -> Sent | TooSoon | Refusal:
        """Send a code to the login address; one sent before is good no more."""
        asking = await self.people.asking(caller)
        if isinstance(asking, Refusal):
            return asking
        known = await self.people.known(caller.tenant_id, subject)
        if isinstance(known, Refusal):
            return known
        if known.mailbox in _NO_MAIL:
            return _NO_MAIL[known.mailbox]
        to = Recipient(
            tenant=caller.tenant_id,
            subject_ref=known.subject_ref,
            application_id=caller.application_id,
            application=asking.application.name,
            channel=CodeChannel.EMAIL,
        )
        drafted = await self.codes.draft(to)
        async with tenant_transaction(self.pool, caller.tenant_id) as tx:
            if not await lock_subject(tx, caller.tenant_id, known.subject_ref):
                return Refusal.SUBJECT_UNKNOWN
            earlier = await newest_for_opening(tx, known.subject_ref, caller.application_id)
            wait = await self.codes.too_soon(tx, drafted, earlier=earlier)
            if wait is not None:
                return wait
            return await self.codes.send(tx, drafted, earlier=earlier)

    async def take(
        self, tx: Connection, caller: Caller, subject_ref: UUID, digest: bytes | None
    ) -> Refusal | WrongCode | None:
        """Take the code of a locked subject, or return why the enrollment does not open."""
        now = self.codes.clock()
        if digest is None:
            return Refusal.EMAIL_CODE_REQUIRED
        sent = await newest_for_opening(tx, subject_ref, caller.application_id)
        if sent is None or not is_good(sent, now):
            return Refusal.EMAIL_CODE_GONE
        if not holds(sent, digest, now=now):
            left = after_wrong_code(sent)
            # Returned and not raised: the lost try must be committed.
            await save_code(tx, left)
            return WrongCode(left.tries_left)
        await save_code(tx, replace(sent, status=Status.USED))
        event = enrollment_opened(caller.tenant_id, sent, now=now)
        await announce(tx, topic=EVENTS.name, event=event)
        return None
