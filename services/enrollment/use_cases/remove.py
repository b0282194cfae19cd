"""Remove authenticators: one, or all of a subject; then see that it is effective."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.rules import Disabler
from contracts.topics import EVENTS
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import authenticator_removed, reset_applied
from services.enrollment.domain.authenticator import Authenticator, Status, is_last
from services.enrollment.domain.presence import Presence
from services.enrollment.domain.refusals import Refusal, StaysOn
from services.enrollment.gateways import Verification
from services.enrollment.store.authenticators import (
    add_reset,
    find_authenticator,
    lock_with_status,
    save_effective,
    save_removal,
)
from services.enrollment.store.due import take_revocations
from services.enrollment.store.enrollments import cancel_enrollments, lock_subject, save_deleted
from services.enrollment.store.known_secrets import forget_secrets_of
from services.enrollment.store.sent_codes import close_codes
from services.enrollment.use_cases.presences import Presences, take_presence
from services.enrollment.use_cases.staying_on import last_one_refused

# Whoever removes tells verification at once; the worker comes only where that did not succeed.
_RETRY_AFTER = timedelta(seconds=3)
_AT_ONCE = 20


@dataclass(frozen=True)
class Remove:
    """Removes here first, durably and announced; verification is told next, until it answers."""

    pool: Pool
    worker_pool: Pool
    verification: Verification
    presences: Presences
    clock: Clock

    async def one(
        self, caller: Caller, authenticator_id: UUID, *, by: Disabler, receipt: str | None
    ) -> Status | Refusal | StaysOn:
        """Remove an authenticator and return its status; asking again is harmless.

        To remove the last one switches the second step off, which is not everywhere allowed.
        """
        tenant, about = caller.tenant_id, authenticator_id
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await find_authenticator(tx, about)
        if stored is None:
            return Refusal.UNKNOWN
        if stored.authenticator.status is Status.ACTIVE:
            presence = await self.presences.read(caller, receipt)
            if isinstance(presence, Refusal):
                return presence
            async with tenant_transaction(self.pool, tenant) as tx:
                refused = await self._remove(tx, caller, stored.authenticator, by, presence)
            if refused is not None:
                return refused
        pending = await self.make_effective(tenant, stored.authenticator.subject_ref)
        return Status.REMOVING if about in pending else Status.REMOVED

    async def _remove(
        self,
        tx: Connection,
        caller: Caller,
        wanted: Authenticator,
        by: Disabler,
        presence: Presence | None,
    ) -> Refusal | StaysOn | None:
        tenant, about, now = caller.tenant_id, wanted.subject_ref, self.clock()
        await lock_subject(tx, tenant, about)
        active = await lock_with_status(tx, about, Status.ACTIVE)
        removed = [one for one in active if one.authenticator_id == wanted.authenticator_id]
        if not removed:
            return None
        if is_last(active, wanted):
            refused = await last_one_refused(tx, tenant, about, by=by, now=now)
            if refused is not None:
                return refused
        # Last, because it takes the proof.
        taken = await take_presence(tx, caller, about, presence)
        if isinstance(taken, Refusal):
            return taken
        await remove_all(tx, tenant, removed, reset_id=None, now=now)
        return None

    async def for_reset(self, tenant: UUID, subject_ref: UUID, *, reset_id: UUID) -> bool:
        """Apply a reset and tell whether none of the old authenticators is accepted any more."""
        async with tenant_transaction(self.pool, tenant) as tx:
            await self.apply_reset(tx, tenant, subject_ref, reset_id=reset_id)
        return not await self.make_effective(tenant, subject_ref)

    async def apply_reset(
        self, tx: Connection, tenant: UUID, subject_ref: UUID, *, reset_id: UUID
    ) -> None:
        """Remove all that the subject has now; the same reset again removes nothing more.

        What was removed before and is not effective yet is the reset's to wait for, too.
        """
        now = self.clock()
        await lock_subject(tx, tenant, subject_ref)
        if not await add_reset(tx, tenant, subject_ref, reset_id=reset_id, now=now):
            return
        pending = await lock_with_status(tx, subject_ref, Status.REMOVING)
        active = await lock_with_status(tx, subject_ref, Status.ACTIVE)
        removed = await remove_all(tx, tenant, active, reset_id=reset_id, now=now)
        await cancel_enrollments(tx, subject_ref)
        await close_codes(tx, subject_ref)
        waits_for = sorted([*pending, *removed], key=lambda one: one.authenticator_id)
        event = reset_applied(tenant, subject_ref, reset_id=reset_id, removed=waits_for, now=now)
        await announce(tx, topic=EVENTS.name, event=event)

    async def forget_person(self, tx: Connection, tenant: UUID, subject_ref: UUID) -> None:
        """Remove all of a subject that policy has deleted, for good; again, there is nothing left.

        The worker tells verification, which hears of the deletion by itself, too.
        """
        await lock_subject(tx, tenant, subject_ref)
        await save_deleted(tx, subject_ref)
        active = await lock_with_status(tx, subject_ref, Status.ACTIVE)
        await remove_all(tx, tenant, active, reset_id=None, now=self.clock())
        await cancel_enrollments(tx, subject_ref)
        await close_codes(tx, subject_ref)
        await forget_secrets_of(tx, subject_ref)

    async def make_effective(self, tenant: UUID, subject_ref: UUID) -> frozenset[UUID]:
        """Tell verification what it must not accept; return what it has not confirmed."""
        async with tenant_transaction(self.pool, tenant) as tx:
            removing = await lock_with_status(tx, subject_ref, Status.REMOVING)
        by_reset: dict[UUID | None, list[Authenticator]] = defaultdict(list)
        for one in removing:
            by_reset[one.reset_id].append(one)
        pending: set[UUID] = set()
        for reset_id, removed in by_reset.items():
            ids = [one.authenticator_id for one in removed]
            if await self.verification.revoke(
                tenant, subject_ref, removed=removed, reset_id=reset_id
            ):
                await self._effective(tenant, subject_ref, ids)
            else:
                pending.update(ids)
        return frozenset(pending)

    async def forgotten(
        self, tx: Connection, tenant: UUID, subject_ref: UUID, *, authenticator_id: UUID
    ) -> None:
        """Take note that verification accepts nothing of this authenticator any more."""
        await lock_subject(tx, tenant, subject_ref)
        await save_effective(tx, subject_ref, [authenticator_id])

    async def retry_due(self) -> None:
        """Tell verification again what it has not confirmed in time."""
        due = await take_revocations(self.worker_pool, now=self.clock(), most=_AT_ONCE)
        await asyncio.gather(*(self.make_effective(tenant, subject) for tenant, subject in due))

    async def _effective(self, tenant: UUID, subject_ref: UUID, ids: Sequence[UUID]) -> None:
        async with tenant_transaction(self.pool, tenant) as tx:
            await lock_subject(tx, tenant, subject_ref)
            await save_effective(tx, subject_ref, ids)


async def remove_all(
    tx: Connection,
    tenant: UUID,
    active: Sequence[Authenticator],
    *,
    reset_id: UUID | None,
    now: datetime,
) -> list[Authenticator]:
    """Remove these locked authenticators, announced; verification is told after the commit."""
    removed = [
        replace(one, status=Status.REMOVING, epoch=one.epoch + 1, reset_id=reset_id)
        for one in active
    ]
    for one in removed:
        await save_removal(tx, one, due=now + _RETRY_AFTER)
        await announce(tx, topic=EVENTS.name, event=authenticator_removed(tenant, one, now=now))
    return removed
