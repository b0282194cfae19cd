"""List authenticators, name them, and remove them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from contracts.roles import Right
from contracts.rules import Disabler
from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.enrollment.api.answers import authenticator_shown, never_stored
from services.enrollment.api.problems import accepted
from services.enrollment.api.receipts import Receipt
from services.enrollment.api.schemas import (
    AuthenticatorList,
    AuthenticatorSearch,
    AuthenticatorShown,
    NameBody,
    Removal,
)
from services.enrollment.domain.authenticator import Status
from services.enrollment.use_cases.authenticators import Authenticators
from services.enrollment.use_cases.disable import Disable
from services.enrollment.use_cases.remove import Remove


def authenticator_routes(
    authenticators: Authenticators, remove: Remove, disable: Disable, *, find: FindCaller
) -> APIRouter:
    """Make the routes under /v1/authenticators; a tenant's applications share them."""
    router = APIRouter(
        prefix="/v1/authenticators", tags=["authenticators"], dependencies=[Depends(never_stored)]
    )
    may = Depends(caller_with(Scope.ENROLL, find, also=[Right.SUPPORT]))

    @router.post(
        "/removal",
        summary="Switch off the second step",
        description="Removes all authenticators of a subject, where no application of the tenant"
        " requires any. A key that may help people acts as an administrator, any other one as the"
        " person, who shows a factor; the rules say who may.",
        responses={202: {"model": Removal}, **documented(401, 403, 404, 409, 422, 503)},
    )
    async def remove_all_authenticators(
        body: AuthenticatorSearch,
        response: Response,
        caller: Annotated[Caller, may],
        receipt: Receipt = None,
    ) -> Removal:
        by = _acts_as(caller)
        status = accepted(await disable(caller, body.subject, by=by, receipt=receipt))
        return _removal(status, response)

    @router.post("/search", responses=documented(401, 403, 404, 422, 503))
    async def search_authenticators(
        body: AuthenticatorSearch, caller: Annotated[Caller, may]
    ) -> AuthenticatorList:
        found = accepted(await authenticators.of_subject(caller.tenant_id, body.subject))
        return AuthenticatorList(authenticators=[authenticator_shown(one) for one in found])

    @router.get("/{authenticator_id}", responses=documented(401, 403, 404, 422))
    async def show_authenticator(
        authenticator_id: UUID, caller: Annotated[Caller, may]
    ) -> AuthenticatorShown:
        return authenticator_shown(
            accepted(await authenticators.one(caller.tenant_id, authenticator_id))
        )

    @router.patch("/{authenticator_id}", responses=documented(401, 403, 404, 410, 422))
    async def rename_authenticator(
        authenticator_id: UUID, body: NameBody, caller: Annotated[Caller, may]
    ) -> AuthenticatorShown:
        tenant = caller.tenant_id
        renamed = await authenticators.rename(tenant, authenticator_id, body.name)
        return authenticator_shown(accepted(renamed))

    @router.delete(
        "/{authenticator_id}",
        description="The person shows a factor, by `Watchword-Receipt`; a key that may help people"
        " needs none. The last one stays where a rule that may be about the subject requires one"
        " (409 `mandatory`), or leaves switching it off to somebody else (403"
        " `not_allowed_to_disable`): for the last one there is `removal`, which knows whom the"
        " rules are about.",
        responses={202: {"model": Removal}, **documented(401, 403, 404, 409, 422, 503)},
    )
    async def remove_authenticator(
        authenticator_id: UUID,
        response: Response,
        caller: Annotated[Caller, may],
        receipt: Receipt = None,
    ) -> Removal:
        by = _acts_as(caller)
        status = accepted(await remove.one(caller, authenticator_id, by=by, receipt=receipt))
        return _removal(status, response)

    return router


def _acts_as(caller: Caller) -> Disabler:
    return Disabler.ADMINISTRATOR if Right.SUPPORT in caller.scopes else Disabler.PERSON


def _removal(status: Status, response: Response) -> Removal:
    if status is Status.REMOVED:
        return Removal(status="effective")
    response.status_code = 202
    return Removal(status="pending")
