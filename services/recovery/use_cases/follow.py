"""Follow a reset until verification has forgotten all that enrollment removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.topics import EVENTS
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection
from services.recovery import announcements
from services.recovery.domain.reset import ResetStatus, is_complete
from services.recovery.store import resets


@dataclass(frozen=True)
class FollowReset:
    """Two services report, in either order; the last report completes the reset."""

    clock: Clock

    async def removed(
        self, tx: Connection, *, tenant: UUID, reset_id: UUID, authenticators: Sequence[UUID]
    ) -> None:
        """Enrollment has removed these."""
        if await resets.lock(tx, reset_id) is None:
            return
        await resets.save_removed(tx, reset_id, authenticators)
        await self._complete_when_done(tx, tenant, reset_id)

    async def forgotten(
        self, tx: Connection, *, tenant: UUID, subject: UUID, authenticator_id: UUID
    ) -> None:
        """Verification has forgotten this one, whatever the reason was."""
        await resets.save_forgotten(tx, tenant=tenant, authenticator_id=authenticator_id)
        for reset_id in await resets.lock_open_of(tx, subject):
            await self._complete_when_done(tx, tenant, reset_id)

    async def _complete_when_done(self, tx: Connection, tenant: UUID, reset_id: UUID) -> None:
        reset = await resets.lock(tx, reset_id)
        if reset is None or reset.status is ResetStatus.COMPLETED:
            return
        if not is_complete(reset.progress):
            return
        now = self.clock()
        await resets.complete(tx, reset_id, now)
        event = announcements.reset_completed(
            tenant,
            reset.subject_ref,
            reset_id=reset_id,
            removed=len(reset.progress.removed or ()),
            now=now,
        )
        await announce(tx, topic=EVENTS.name, event=event)
