"""An act that weakens is put before a second owner instead of being done."""

from datetime import datetime

from libs.ids import new_id
from libs.postgres.pool import Connection
from libs.web.callers import Caller
from services.policy.announcements import approval_requested
from services.policy.domain.acts import Act
from services.policy.domain.proposals import MOST_WAITING, WAITS_FOR, Look, Proposal
from services.policy.domain.refusals import Refusal
from services.policy.store.announcements import announce_all
from services.policy.store.applications import load_key
from services.policy.store.proposals import add_proposal, waiting_since


async def propose(
    tx: Connection, caller: Caller, act: Act, look: Look, *, now: datetime
) -> Proposal | Refusal:
    """Keep an act of a locked tenant until somebody else approves; the same one is kept once."""
    tenant, key_id = caller.tenant_id, caller.key_id
    key = await load_key(tx, tenant, key_id)
    if key.holder is None or key.revoked:
        return Refusal.HOLDER_NEEDED
    waiting = await waiting_since(tx, tenant, now - WAITS_FOR, key=key_id)
    same = next((one for one in waiting if (one.act, one.look) == (act, look)), None)
    if same is not None:
        return same
    if len(waiting) >= MOST_WAITING:
        return Refusal.TOO_MANY_PROPOSALS
    proposal = Proposal(new_id(), act, look, proposed_by=key_id, holder=key.holder, proposed=now)
    await add_proposal(tx, tenant, proposal)
    await announce_all(tx, [approval_requested(tenant, proposal, now=now)])
    return proposal
