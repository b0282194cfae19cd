"""Switch off somebody's second step, where nothing requires it (requirement E5)."""

from dataclasses import dataclass

from contracts.rules import Disabler
from contracts.topics import EVENTS
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import disabled
from services.enrollment.domain.authenticator import Status
from services.enrollment.domain.refusals import Refusal, StaysOn
from services.enrollment.store.authenticators import lock_with_status
from services.enrollment.store.enrollments import cancel_enrollments, lock_subject
from services.enrollment.store.sent_codes import close_codes
from services.enrollment.use_cases.people import People
from services.enrollment.use_cases.presences import Presences, take_presence
from services.enrollment.use_cases.remove import Remove, remove_all
from services.enrollment.use_cases.staying_on import disabling_refused


@dataclass(frozen=True)
class Disable:
    """Removes all authenticators of a person, unless they would have to enroll again."""

    pool: Pool
    people: People
    presences: Presences
    remove: Remove
    clock: Clock

    async def __call__(
        self, caller: Caller, subject: str, *, by: Disabler, receipt: str | None
    ) -> Status | Refusal | StaysOn:
        """Return how far it is; asking again is harmless."""
        tenant, now = caller.tenant_id, self.clock()
        known = await self.people.known(tenant, subject)
        if isinstance(known, Refusal):
            return known
        presence = await self.presences.read(caller, receipt)
        if isinstance(presence, Refusal):
            return presence
        about = known.subject_ref
        async with tenant_transaction(self.pool, tenant) as tx:
            refused = await disabling_refused(tx, tenant, known, by=by, now=now)
            if refused is not None:
                return refused
            await lock_subject(tx, tenant, about)
            taken = await take_presence(tx, caller, about, presence)
            if isinstance(taken, Refusal):
                return taken
            active = await lock_with_status(tx, about, Status.ACTIVE)
            removed = await remove_all(tx, tenant, active, reset_id=None, now=now)
            await cancel_enrollments(tx, about)
            await close_codes(tx, about)
            if removed:
                event = disabled(caller, about, by=by, removed=removed, now=now)
                await announce(tx, topic=EVENTS.name, event=event)
        pending = await self.remove.make_effective(tenant, about)
        return Status.REMOVING if pending else Status.REMOVED
