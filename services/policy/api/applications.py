"""Applications and their keys."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from contracts.roles import Right
from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import (
    application_created,
    application_shown,
    key_issued,
    never_stored,
)
from services.policy.api.problems import accepted
from services.policy.api.proposals import KeyProposed, waiting
from services.policy.api.schemas import (
    ApplicationBody,
    ApplicationCreated,
    ApplicationList,
    ApplicationShown,
    KeyBody,
    KeyIssued,
    Revocation,
    RevocationStatus,
)
from services.policy.domain.policy import Terms
from services.policy.use_cases.applications import Applications
from services.policy.use_cases.keys import Keys, Wanted


def application_routes(applications: Applications, keys: Keys, find: FindCaller) -> APIRouter:
    """Make the routes of applications."""
    manager = Annotated[Caller, Depends(caller_with(Scope.MANAGE, find))]
    reader = Annotated[Caller, Depends(caller_with(Right.READ, find))]
    router = APIRouter(
        prefix="/v1/applications",
        tags=["applications"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 404, 422)},
    )

    @router.post(
        "",
        status_code=201,
        description="Its first key is shown this once. Another policy than the standard one, and"
        " an owner's key, are an owner's to give.",
        responses={**documented(409)},
    )
    async def create_application(caller: manager, body: ApplicationBody) -> ApplicationCreated:
        terms = Terms(body.policy.requirement, factors=body.policy.factors)
        made = await applications.create(caller, body.name, wanted=_wanted(body), terms=terms)
        return application_created(accepted(made))

    @router.get("", description="All of the tenant, with policies and keys, but no key's secret.")
    async def list_applications(caller: reader) -> ApplicationList:
        found = await applications.load_all(caller.tenant_id)
        return ApplicationList(applications=[application_shown(*one) for one in found])

    @router.get("/{application_id}", description="With its policy and keys, but no key's secret.")
    async def get_application(caller: reader, application_id: UUID) -> ApplicationShown:
        found = await applications.load(caller.tenant_id, application_id)
        return application_shown(*accepted(found))

    @router.post(
        "/{application_id}/keys",
        status_code=201,
        description="Shown this once. Two of a mode and a holder may be in force, for a change"
        " without a gap. With 202 an owner's key is in force only when another owner approves.",
        responses={202: {"model": KeyProposed}, **documented(409)},
    )
    async def issue_key(
        caller: manager, application_id: UUID, body: KeyBody, response: Response
    ) -> KeyIssued | KeyProposed:
        issued = accepted(await keys.add(caller, application_id, _wanted(body)))
        if issued.proposal is not None:
            response.status_code = 202
            shown = waiting(issued.proposal)
            return KeyProposed(**shown.model_dump(), key=issued.secret.text)
        return key_issued(issued, application_id)

    @router.delete(
        "/{application_id}/keys/{key_id}",
        description="`effective`: no service takes the key any more; `pending`: repeat until then.",
        responses={202: {"model": Revocation}, **documented(409)},
    )
    async def revoke_key(
        caller: manager, application_id: UUID, key_id: UUID, response: Response
    ) -> Revocation:
        outcome = await keys.revoke(caller, application_id, key_id)
        effective = accepted(outcome)
        response.status_code = 200 if effective else 202
        return Revocation(
            status=RevocationStatus.EFFECTIVE if effective else RevocationStatus.PENDING
        )

    return router


def _wanted(body: KeyBody) -> Wanted:
    return Wanted(body.mode, scopes=body.may, role=body.role, holder=body.holder)
