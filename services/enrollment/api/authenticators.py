"""List authenticators, and remove them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.enrollment.api.answers import authenticator_shown, never_stored
from services.enrollment.api.problems import accepted
from services.enrollment.api.schemas import (
    AuthenticatorList,
    AuthenticatorSearch,
    AuthenticatorShown,
    Removal,
)
from services.enrollment.domain.authenticator import Status
from services.enrollment.use_cases.authenticators import Authenticators
from services.enrollment.use_cases.remove import Remove


def authenticator_routes(
    authenticators: Authenticators, remove: Remove, *, find: FindCaller
) -> APIRouter:
    """Make the routes under /v1/authenticators; a tenant's applications share them."""
    router = APIRouter(
        prefix="/v1/authenticators", tags=["authenticators"], dependencies=[Depends(never_stored)]
    )
    may_enroll = Depends(caller_with(Scope.ENROLL, find))

    @router.post("/search", responses=documented(401, 403, 404, 422, 503))
    async def search_authenticators(
        body: AuthenticatorSearch, caller: Annotated[Caller, may_enroll]
    ) -> AuthenticatorList:
        found = accepted(await authenticators.of_subject(caller.tenant_id, body.subject))
        return AuthenticatorList(authenticators=[authenticator_shown(one) for one in found])

    @router.get("/{authenticator_id}", responses=documented(401, 403, 404, 422))
    async def show_authenticator(
        authenticator_id: UUID, caller: Annotated[Caller, may_enroll]
    ) -> AuthenticatorShown:
        return authenticator_shown(
            accepted(await authenticators.one(caller.tenant_id, authenticator_id))
        )

    @router.delete(
        "/{authenticator_id}",
        responses={202: {"model": Removal}, **documented(401, 403, 404, 422)},
    )
    async def remove_authenticator(
        authenticator_id: UUID, response: Response, caller: Annotated[Caller, may_enroll]
    ) -> Removal:
        status = accepted(await remove.one(caller.tenant_id, authenticator_id))
        if status is Status.REMOVED:
            return Removal(status="effective")
        response.status_code = 202
        return Removal(status="pending")

    return router
