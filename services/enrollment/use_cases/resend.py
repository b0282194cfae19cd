"""Send another code to a number that is being enrolled: the one before is good no more."""

from dataclasses import dataclass
from uuid import UUID

from contracts.codes import CodeChannel
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.domain.authenticator import BY_PHONE
from services.enrollment.domain.enrollment import Status, status_at
from services.enrollment.domain.refusals import Refusal, TooSoon
from services.enrollment.store.enrollments import (
    StoredEnrollment,
    find_enrollment,
    lock_enrollment,
    lock_subject,
)
from services.enrollment.store.sent_codes import newest_for_enrollment
from services.enrollment.use_cases.people import People
from services.enrollment.use_cases.sent_codes import Drafted, Recipient, Sent, SentCodes


@dataclass(frozen=True)
class Resend:
    """Sends codes again, within the limits of the number."""

    pool: Pool
    people: People
    codes: SentCodes

    async def __call__(self, caller: Caller, enrollment_id: UUID) -> Sent | TooSoon | Refusal:
        """Send another code for an enrollment that is under way."""
        tenant = caller.tenant_id
        async with tenant_transaction(self.pool, tenant) as tx:
            seen = await find_enrollment(tx, enrollment_id, caller.application_id)
        if seen is None or seen.enrollment.factor not in BY_PHONE:
            return Refusal.UNKNOWN
        drafted = await self._draft(caller, seen)
        if isinstance(drafted, Refusal):
            return drafted
        async with tenant_transaction(self.pool, tenant) as tx:
            await lock_subject(tx, tenant, seen.enrollment.subject_ref)
            stored = await lock_enrollment(tx, enrollment_id)
            now = self.codes.clock()
            if stored is None or status_at(stored.enrollment, now) is not Status.PENDING:
                return Refusal.GONE
            earlier = await newest_for_enrollment(tx, enrollment_id)
            wait = await self.codes.too_soon(tx, drafted, earlier=earlier)
            if wait is not None:
                return wait
            return await self.codes.send(tx, drafted, earlier=earlier)

    async def _draft(self, caller: Caller, seen: StoredEnrollment) -> Drafted | Refusal:
        about, sealed = seen.enrollment, seen.seals.secret
        asking = await self.people.asking(caller)
        if isinstance(asking, Refusal):
            return asking
        if sealed is None:
            return Refusal.GONE
        number = await self.codes.sealing.open_secret(caller.tenant_id, about, sealed)
        to = Recipient(
            tenant=caller.tenant_id,
            subject_ref=about.subject_ref,
            application_id=about.application_id,
            application=asking.application.name,
            channel=CodeChannel(about.factor.value),
            enrollment_id=about.enrollment_id,
            number=number.decode(),
        )
        return await self.codes.draft(to)
