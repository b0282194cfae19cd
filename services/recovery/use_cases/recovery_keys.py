"""Make recovery keys, and take note that they were shown."""

import secrets
from dataclasses import dataclass
from uuid import UUID

from contracts.topics import EVENTS
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from services.recovery import announcements
from services.recovery.domain.outcome import AcknowledgeRefused, Issued, IssueRefused
from services.recovery.domain.recovery_key import RANDOM_BYTES, RecoveryKey, make_recovery_key
from services.recovery.gateways import Ticket
from services.recovery.store import keys, resets


@dataclass(frozen=True)
class RecoveryKeys:
    """Makes keys against tickets, a new one at each request until one is acknowledged."""

    pool: Pool
    clock: Clock

    async def issue(self, ticket: Ticket) -> Issued | IssueRefused:
        """Make the ticket's key; one that was made before and not acknowledged stops working."""
        key = make_recovery_key(secrets.token_bytes(RANDOM_BYTES))
        async with tenant_transaction(self.pool, ticket.tenant) as tx:
            stored = await _store(tx, ticket, key)
            if isinstance(stored, IssueRefused):
                return stored
            event = announcements.key_issued(
                ticket.tenant, stored.subject_ref, key_id=stored.key_id, now=self.clock()
            )
            await announce(tx, topic=EVENTS.name, event=event)
        return Issued(stored.key_id, stored.generation, key.text)

    async def acknowledge(
        self, *, tenant: UUID, key_id: UUID, generation: int
    ) -> AcknowledgeRefused | None:
        """Note that the client has shown this generation of the key; it is the only one now."""
        async with tenant_transaction(self.pool, tenant) as tx:
            subject = await keys.subject_of(tx, key_id)
            if subject is not None:
                # First of all, as everywhere: a recovery of the same person locks in this order.
                await keys.lock_tries(tx, tenant, subject)
            stored = await keys.lock_by_id(tx, key_id)
            if stored is None:
                return AcknowledgeRefused.UNKNOWN
            if stored.generation != generation or stored.status == "replaced":
                return AcknowledgeRefused.NEWER_KEY
            if stored.status == "used":
                return AcknowledgeRefused.USED
            if stored.status == "acknowledged":
                return None
            await keys.acknowledge(tx, stored)
            event = announcements.key_acknowledged(
                tenant, stored.subject_ref, key_id=key_id, now=self.clock()
            )
            await announce(tx, topic=EVENTS.name, event=event)
        return None


async def _store(tx: Connection, ticket: Ticket, key: RecoveryKey) -> keys.StoredKey | IssueRefused:
    # A recovery takes this lock too: no reset begins between the question and the key.
    await keys.lock_tries(tx, ticket.tenant, ticket.subject_ref)
    # A ticket from before a reset is no longer good: whoever has the lost phone may have it.
    # Where it gives whole seconds only, one of the second of the reset is refused as well, though
    # it may be younger: the person can enroll again, a stranger's key would stay.
    if await resets.requested_since(tx, ticket.subject_ref, ticket.issued):
        return IssueRefused.TICKET_OUTDATED
    stored = await keys.issue(
        tx,
        tenant=ticket.tenant,
        key_id=new_id(),
        subject=ticket.subject_ref,
        ticket_id=ticket.ticket_id,
        key=key,
    )
    return stored or IssueRefused.ACKNOWLEDGED
