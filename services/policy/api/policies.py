"""What applications ask."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from contracts.roles import Right
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored, policy_shown
from services.policy.api.problems import accepted
from services.policy.api.proposals import ProposalShown, waiting
from services.policy.api.schemas import PolicyShown, TermsBody
from services.policy.domain.policy import Terms
from services.policy.domain.proposals import Proposal
from services.policy.use_cases.policies import Policies


def policy_routes(policies: Policies, find: FindCaller) -> APIRouter:
    """Make the routes of policies."""
    reader = Annotated[Caller, Depends(caller_with(Right.READ, find))]
    owner = Annotated[Caller, Depends(caller_with(Right.OWN, find))]
    router = APIRouter(
        prefix="/v1/policies",
        tags=["policies"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 404, 422)},
    )

    @router.get("/{application_id}", description="What is required, and with which factors.")
    async def get_policy(caller: reader, application_id: UUID) -> PolicyShown:
        return policy_shown(accepted(await policies.load(caller.tenant_id, application_id)))

    @router.put(
        "/{application_id}",
        description="The same content again is the same version.",
        responses={202: {"model": ProposalShown}, **documented(409)},
    )
    async def put_policy(
        caller: owner, application_id: UUID, body: TermsBody, response: Response
    ) -> PolicyShown | ProposalShown:
        terms = Terms(body.requirement, factors=body.factors)
        changed = await policies.put(caller, application_id, terms)
        if isinstance(changed, Proposal):
            response.status_code = 202
            return waiting(changed)
        return policy_shown(accepted(changed))

    return router
