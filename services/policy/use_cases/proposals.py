"""A second owner looks at what was proposed, and with the approval it is done."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from contracts.roles import SCOPES, Role
from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import approval_decided
from services.policy.domain.acts import (
    Act,
    ChangeMailboxes,
    ChangePolicy,
    EndFourEyes,
    IssueOwnerKey,
    PublishRules,
)
from services.policy.domain.application import Key
from services.policy.domain.proposals import (
    Look,
    Proposal,
    Status,
    approval_refusal,
    waiting_refusal,
)
from services.policy.domain.refusals import Mistakes, Refusal
from services.policy.store import proposals as store
from services.policy.store.announcements import announce_all
from services.policy.store.applications import load_key
from services.policy.store.tenants import load_settings
from services.policy.use_cases import settings
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.keys import add_key, look_at_key
from services.policy.use_cases.mailboxes import change_mailboxes, look_at_mailboxes
from services.policy.use_cases.policies import change_policy, look_at_policy
from services.policy.use_cases.publication import bring_into_force, look_at_publication


@dataclass(frozen=True)
class Proposals:
    """What owners may do with what waits for a second one of them."""

    pool: Pool
    clock: Clock

    async def load(self, tenant: UUID, proposal_id: UUID) -> Proposal | Refusal:
        """Return one proposal."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.load_proposal(tx, tenant, proposal_id)
        return found or Refusal.UNKNOWN

    async def page(self, tenant: UUID, *, before: UUID, limit: int) -> list[Proposal]:
        """Return proposals that were made before this one, the newest first."""
        async with tenant_transaction(self.pool, tenant) as tx:
            return await store.list_proposals(tx, tenant, before=before, limit=limit)

    async def approve(self, caller: Caller, proposal_id: UUID) -> Proposal | Refusal | Mistakes:
        """Do what was proposed, unless it now would weaken something else than was said then."""
        tenant, now = caller.tenant_id, self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            locked = await lock_for(tx, caller)
            if isinstance(locked, Refusal):
                return locked
            proposal = await store.load_proposal(tx, tenant, proposal_id)
            if proposal is None:
                return Refusal.UNKNOWN
            if refusal := await _refusal_of(tx, caller, proposal, now=now):
                return refusal
            look = await _look(tx, tenant, proposal.act)
            if isinstance(look, Mistakes):
                return look
            if look != proposal.look:
                return Refusal.PROPOSAL_STALE
            await _do(tx, tenant, proposal.act, by=proposal.proposed_by, now=now)
            return await _decided(tx, caller, proposal, Status.APPROVED, now=now)

    async def refuse(self, caller: Caller, proposal_id: UUID) -> Proposal | Refusal:
        """End a proposal; nothing is done."""
        tenant, now = caller.tenant_id, self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            locked = await lock_for(tx, caller)
            if isinstance(locked, Refusal):
                return locked
            proposal = await store.load_proposal(tx, tenant, proposal_id)
            if proposal is None:
                return Refusal.UNKNOWN
            if refusal := waiting_refusal(proposal, now):
                return refusal
            return await _decided(tx, caller, proposal, Status.REFUSED, now=now)


async def _refusal_of(
    tx: Connection, caller: Caller, proposal: Proposal, *, now: datetime
) -> Refusal | None:
    if refusal := waiting_refusal(proposal, now):
        return refusal
    approver = await load_key(tx, caller.tenant_id, caller.key_id)
    proposer = await load_key(tx, caller.tenant_id, proposal.proposed_by)
    return approval_refusal(proposal, approver=approver, proposer=proposer)


async def _decided(
    tx: Connection, caller: Caller, proposal: Proposal, status: Status, *, now: datetime
) -> Proposal:
    tenant, by = caller.tenant_id, caller.key_id
    decided = replace(proposal, decided=status, decided_by=by, decided_at=now)
    await store.save_decision(tx, tenant, decided)
    await announce_all(tx, [approval_decided(tenant, decided, by=by, now=now)])
    return decided


async def _look(tx: Connection, tenant: UUID, act: Act) -> Look | Refusal | Mistakes:
    match act:
        case PublishRules():
            return await look_at_publication(tx, tenant, act)
        case ChangePolicy():
            return await look_at_policy(tx, tenant, act)
        case IssueOwnerKey():
            return await look_at_key(tx, tenant, act.application_id, _key(act))
        case EndFourEyes():
            return settings.look_at_settings(await load_settings(tx, tenant))
        case ChangeMailboxes():
            return await look_at_mailboxes(tx, tenant, act)
        case _:
            assert_never(act)


async def _do(tx: Connection, tenant: UUID, act: Act, *, by: UUID, now: datetime) -> None:
    match act:
        case PublishRules():
            await bring_into_force(tx, tenant, act, by=by, now=now)
        case ChangePolicy():
            await change_policy(tx, tenant, act, by=by, now=now)
        case IssueOwnerKey():
            await add_key(tx, tenant, act.application_id, key=_key(act), by=by, now=now)
        case EndFourEyes():
            before = await load_settings(tx, tenant)
            await settings.save(tx, tenant, before, four_eyes=False, by=by, now=now)
        case ChangeMailboxes():
            await change_mailboxes(tx, tenant, act, by=by, now=now)
        case _:
            assert_never(act)


def _key(act: IssueOwnerKey) -> Key:
    return Key(
        act.key_id,
        digest=act.digest,
        scopes=SCOPES[Role.OWNER],
        mode=act.mode,
        revoked=False,
        role=Role.OWNER,
        holder=act.holder,
    )
