"""Hand what is to be sent over to the one attempt that asked first, and forget it."""

import json
from dataclasses import dataclass
from typing import TypedDict
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Pool, tenant_transaction
from services.enrollment.domain.refusals import Refusal
from services.enrollment.domain.sent_codes import is_good
from services.enrollment.store.sent_codes import erase_code, lock_code, save_code_claim
from services.enrollment.use_cases.seals import Sealing


class Message(TypedDict):
    """A code, the application's name, and the number unless it goes by e-mail."""

    code: str
    application: str
    number: str | None


@dataclass(frozen=True)
class Messages:
    """Gives codes to whoever sends them; what was sent, or is good no more, is not given again."""

    pool: Pool
    sealing: Sealing
    clock: Clock

    async def claim(
        self, tenant: UUID, subject_ref: UUID, *, code_id: UUID, attempt: UUID
    ) -> Message | Refusal:
        """Return what is to be sent to the attempt that owns it: the first one that asked."""
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await lock_code(tx, code_id)
            if stored is None or stored.code.subject_ref != subject_ref:
                return Refusal.UNKNOWN
            if stored.claimed_by not in (None, attempt):
                return Refusal.CLAIMED_BY_ANOTHER
            sealed = stored.sealed
            if sealed is None or not is_good(stored.code, self.clock()):
                return Refusal.GONE
            await save_code_claim(tx, code_id, attempt)
        text = await self.sealing.open_message(tenant, subject_ref, code_id, sealed)
        message: Message = json.loads(text)
        return message

    async def acknowledge(self, tenant: UUID, *, code_id: UUID, attempt: UUID) -> Refusal | None:
        """Erase the text that was sent; asking again is harmless."""
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await lock_code(tx, code_id)
            if stored is None:
                return Refusal.UNKNOWN
            if stored.claimed_by != attempt:
                return Refusal.CLAIMED_BY_ANOTHER
            await erase_code(tx, code_id)
        return None
