"""Hand an enrollment over to another device of the same person, once."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.domain.enrollment import Status, status_at
from services.enrollment.domain.handover import (
    LIFETIME,
    LINK_BITS,
    TRIES,
    Handover,
    after_wrong_code,
    is_open,
    new_code,
)
from services.enrollment.domain.refusals import Refusal
from services.enrollment.domain.showing import shown_of
from services.enrollment.store.enrollments import (
    StoredEnrollment,
    find_enrollment,
    lock_subject,
)
from services.enrollment.store.handovers import (
    drop_handover,
    find_by_link,
    lock_handovers,
    save_handover,
    save_tries,
)
from services.enrollment.use_cases.enroll import Started
from services.enrollment.use_cases.people import People
from services.enrollment.use_cases.seals import Sealing


@dataclass(frozen=True)
class HandedOut:
    """What the other device needs: a link's token, or a code to type beside the name."""

    token: str = field(repr=False)
    code: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True)
class Handovers:
    """Only the application that began an enrollment hands it over, and goes on with it."""

    pool: Pool
    people: People
    sealing: Sealing
    clock: Clock

    async def hand_out(self, caller: Caller, enrollment_id: UUID) -> HandedOut | Refusal:
        """Make a link and a code; those made before are void."""
        tenant, now = caller.tenant_id, self.clock()
        token = secrets.token_urlsafe(LINK_BITS // 8)
        out = HandedOut(token, new_code(secrets.choice), now + LIFETIME)
        link, code = await self._digests(tenant, out.token, out.code)
        async with tenant_transaction(self.pool, tenant) as tx:
            seen = await find_enrollment(tx, enrollment_id, caller.application_id)
            if seen is None:
                return Refusal.UNKNOWN
            about = seen.enrollment
            await lock_subject(tx, tenant, about.subject_ref)
            if not await _is_pending(tx, caller, enrollment_id, now):
                return Refusal.GONE
            made = Handover(enrollment_id, about.subject_ref, link, code, TRIES, out.expires)
            await save_handover(tx, tenant, made)
        return out

    async def by_link(self, caller: Caller, token: str) -> Started | Refusal:
        """Go on with the enrollment that this link belongs to."""
        tenant = caller.tenant_id
        link, _ = await self._digests(tenant, token, "")
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await find_by_link(tx, link)
            if found is None:
                return Refusal.GONE
            await lock_subject(tx, tenant, found.subject_ref)
            held = await lock_handovers(tx, found.subject_ref, caller.application_id)
            taken = [one for one in held if one.link_digest == link]
            stored = await self._taken(tx, caller, taken)
        return stored if isinstance(stored, Refusal) else await self._started(caller, stored)

    async def by_code(self, caller: Caller, subject: str, code: str) -> Started | Refusal:
        """Go on with the enrollment of this subject that the code belongs to."""
        tenant = caller.tenant_id
        known = await self.people.known(tenant, subject)
        if isinstance(known, Refusal):
            return known
        _, digest = await self._digests(tenant, "", code)
        async with tenant_transaction(self.pool, tenant) as tx:
            await lock_subject(tx, tenant, known.subject_ref)
            held = await lock_handovers(tx, known.subject_ref, caller.application_id)
            tried = [one for one in held if one.tries_left > 0]
            taken = [one for one in tried if hmac.compare_digest(one.code_digest, digest)]
            for one in tried if not taken else ():
                # All of them: nobody can say for which it was meant. Their links stay good.
                await save_tries(tx, after_wrong_code(one))
            stored = await self._taken(tx, caller, taken)
        return stored if isinstance(stored, Refusal) else await self._started(caller, stored)

    async def _taken(
        self, tx: Connection, caller: Caller, found: Sequence[Handover]
    ) -> StoredEnrollment | Refusal:
        now = self.clock()
        for one in found:
            stored = await find_enrollment(tx, one.enrollment_id, caller.application_id)
            if stored is None or not is_open(one, now):
                continue
            await drop_handover(tx, one.enrollment_id)
            if status_at(stored.enrollment, now) is Status.PENDING:
                return stored
        return Refusal.GONE

    async def _started(self, caller: Caller, stored: StoredEnrollment) -> Started | Refusal:
        tenant, about = caller.tenant_id, stored.enrollment
        secret, label = stored.seals.secret, stored.seals.label
        asking = await self.people.asking(caller)
        if isinstance(asking, Refusal):
            return asking
        if secret is None or label is None:
            return Refusal.GONE
        opened = await self.sealing.open_secret(tenant, about, secret)
        named = await self.sealing.open_name(tenant, about.subject_ref, about.enrollment_id, label)
        issuer = asking.application.name
        return Started(about, shown_of(about, opened, issuer=issuer, label=named))

    async def _digests(self, tenant: UUID, token: str, code: str) -> tuple[bytes, bytes]:
        return (
            await self.sealing.digest(tenant, "link", token),
            await self.sealing.digest(tenant, "handover code", code),
        )


async def _is_pending(tx: Connection, caller: Caller, enrollment_id: UUID, now: datetime) -> bool:
    stored = await find_enrollment(tx, enrollment_id, caller.application_id)
    return stored is not None and status_at(stored.enrollment, now) is Status.PENDING
