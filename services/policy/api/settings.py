"""What a tenant chooses for itself."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, StrictBool

from contracts.roles import Right
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import accepted
from services.policy.api.proposals import ProposalShown, waiting
from services.policy.domain.owners import Settings
from services.policy.domain.proposals import Proposal
from services.policy.use_cases.settings import TenantSettings


class SettingsBody(BaseModel):
    """While `four_eyes` is on, what weakens waits for a second owner."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    four_eyes: StrictBool


class SettingsShown(BaseModel):
    """`version` grows with every change."""

    four_eyes: bool
    version: int


def settings_routes(settings: TenantSettings, find: FindCaller) -> APIRouter:
    """Make the routes of a tenant's settings."""
    reader = Annotated[Caller, Depends(caller_with(Right.READ, find))]
    owner = Annotated[Caller, Depends(caller_with(Right.OWN, find))]
    router = APIRouter(
        prefix="/v1/settings",
        tags=["settings"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 422)},
    )

    @router.get("", description="Whether what weakens waits for a second owner.")
    async def get_settings(caller: reader) -> SettingsShown:
        return _shown(await settings.load(caller.tenant_id))

    @router.put(
        "",
        description="Four eyes need two owners; switching them off waits for the second one.",
        responses={202: {"model": ProposalShown}, **documented(409)},
    )
    async def put_settings(
        caller: owner, body: SettingsBody, response: Response
    ) -> SettingsShown | ProposalShown:
        chosen = await settings.choose(caller, four_eyes=body.four_eyes)
        if isinstance(chosen, Proposal):
            response.status_code = 202
            return waiting(chosen)
        return _shown(accepted(chosen))

    return router


def _shown(settings: Settings) -> SettingsShown:
    return SettingsShown(four_eyes=settings.four_eyes, version=settings.version)
