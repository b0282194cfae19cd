"""The tenant's tokens: find them, and forget those that nobody has."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, StringConstraints

from contracts.vocabulary import Algorithm, Factor, Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.enrollment.api.answers import never_stored
from services.enrollment.api.import_problems import taken
from services.enrollment.domain.hardware_token import HardwareToken, TokenStatus
from services.enrollment.use_cases.hardware_tokens import HardwareTokens

_SERIAL = r"^[!-~]{1,100}$"


class TokenSearch(BaseModel):
    """Which token has this serial?"""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    serial: Annotated[str, StringConstraints(strict=True, pattern=_SERIAL)]


class TokenShown(BaseModel):
    """`authenticator_id` is what it is to the person who has it."""

    hardware_token_id: UUID
    serial: str
    factor: Factor
    algorithm: Algorithm
    digits: int
    period: int | None
    status: TokenStatus
    authenticator_id: UUID | None
    added: datetime


class TokenPage(BaseModel):
    """`next_after` asks for the tokens after these, in the order of serials; null at the end."""

    hardware_tokens: list[TokenShown]
    next_after: str | None


def hardware_token_routes(tokens: HardwareTokens, find: FindCaller) -> APIRouter:
    """Make the routes under /v1/hardware-tokens."""
    router = APIRouter(
        prefix="/v1/hardware-tokens",
        tags=["hardware tokens"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 422)},
    )
    manager = Depends(caller_with(Scope.MANAGE, find))

    @router.post("/search")
    async def search_hardware_tokens(
        body: TokenSearch, caller: Annotated[Caller, manager]
    ) -> TokenPage:
        found = await tokens.with_serial(caller.tenant_id, body.serial)
        return TokenPage(hardware_tokens=[_shown(found)] if found else [], next_after=None)

    @router.get("")
    async def list_hardware_tokens(
        caller: Annotated[Caller, manager],
        status: TokenStatus | None = None,
        after: Annotated[str, Query(max_length=100, pattern=r"^[!-~]*$")] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> TokenPage:
        found = await tokens.page(caller.tenant_id, status=status, after=after, limit=limit + 1)
        shown = [_shown(one) for one in found[:limit]]
        following = shown[-1].serial if len(found) > limit else None
        return TokenPage(hardware_tokens=shown, next_after=following)

    @router.delete(
        "/{hardware_token_id}",
        status_code=204,
        description="Only one in stock; its secret is erased, and a file may bring it again.",
        responses={**documented(404, 409)},
    )
    async def delete_hardware_token(
        hardware_token_id: UUID, caller: Annotated[Caller, manager]
    ) -> None:
        taken(await tokens.delete(caller.tenant_id, hardware_token_id))

    return router


def _shown(token: HardwareToken) -> TokenShown:
    return TokenShown(
        hardware_token_id=token.token_id,
        serial=token.serial,
        factor=token.factor,
        algorithm=token.algorithm,
        digits=token.digits,
        period=token.period,
        status=token.status,
        authenticator_id=token.authenticator_id,
        added=token.added,
    )
