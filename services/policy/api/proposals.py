"""What waits for a second owner."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from contracts.roles import Right
from libs.clock import Clock
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import accepted
from services.policy.domain.proposals import Proposal, Status
from services.policy.use_cases.proposals import Proposals

_AFTER_ALL = UUID(int=2**128 - 1)


class ProposalShown(BaseModel):
    """`because` says what it weakens; `content` what will be done, in the words of its route."""

    proposal_id: UUID
    status: Status
    act: str
    content: dict[str, object]
    because: list[str]
    proposed_by: UUID
    holder: UUID
    proposed: datetime
    expires: datetime
    decided_by: UUID | None
    decided: datetime | None


class KeyProposed(ProposalShown):
    """The key is shown this once, and is in force when another owner has approved."""

    key: str


class ProposalList(BaseModel):
    """The newest first; `next_before` asks for those before these, null at the end."""

    proposals: list[ProposalShown]
    next_before: UUID | None


def proposal_routes(proposals: Proposals, find: FindCaller, clock: Clock) -> APIRouter:
    """Make the routes of proposals."""
    reader = Annotated[Caller, Depends(caller_with(Right.READ, find))]
    owner = Annotated[Caller, Depends(caller_with(Right.OWN, find))]
    router = APIRouter(
        prefix="/v1/proposals",
        tags=["proposals"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 404, 422)},
    )

    @router.get("", description="What waits, or waited, for a second owner; the newest first.")
    async def list_proposals(
        caller: reader,
        before: UUID = _AFTER_ALL,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> ProposalList:
        found = await proposals.page(caller.tenant_id, before=before, limit=limit + 1)
        page = [proposal_shown(one, clock()) for one in found[:limit]]
        more = len(found) > limit
        return ProposalList(proposals=page, next_before=page[-1].proposal_id if more else None)

    @router.get("/{proposal_id}", description="What would be done, and what that weakens.")
    async def get_proposal(caller: reader, proposal_id: UUID) -> ProposalShown:
        found = accepted(await proposals.load(caller.tenant_id, proposal_id))
        return proposal_shown(found, clock())

    @router.post(
        "/{proposal_id}/approval",
        description="By another person than who proposed it, within 7 days; with that it is done.",
        responses={**documented(409)},
    )
    async def approve_proposal(caller: owner, proposal_id: UUID) -> ProposalShown:
        return proposal_shown(accepted(await proposals.approve(caller, proposal_id)), clock())

    @router.delete(
        "/{proposal_id}",
        description="Refuses it, or withdraws what one proposed oneself.",
        responses={**documented(409)},
    )
    async def refuse_proposal(caller: owner, proposal_id: UUID) -> ProposalShown:
        return proposal_shown(accepted(await proposals.refuse(caller, proposal_id)), clock())

    return router


def proposal_shown(proposal: Proposal, now: datetime) -> ProposalShown:
    """Return a proposal as a body; no digest of a key is in it."""
    return ProposalShown(
        proposal_id=proposal.proposal_id,
        status=proposal.status(now),
        act=proposal.act.act,
        content=proposal.act.model_dump(mode="json", exclude={"act", "digest"}),
        because=list(proposal.look.because),
        proposed_by=proposal.proposed_by,
        holder=proposal.holder,
        proposed=proposal.proposed,
        expires=proposal.expires,
        decided_by=proposal.decided_by,
        decided=proposal.decided_at,
    )


def waiting(proposal: Proposal) -> ProposalShown:
    """Return a proposal that was just made."""
    return proposal_shown(proposal, proposal.proposed)
