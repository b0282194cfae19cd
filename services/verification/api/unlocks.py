"""Unlocking, for those who help an application's people."""

from typing import Annotated

from fastapi import APIRouter, Depends

from contracts.roles import Right
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.verification.api.problems import no_such_subject
from services.verification.api.schemas import UnlockRequest
from services.verification.use_cases.unlock import Unlock


def unlock_routes(unlock: Unlock, find: FindCaller) -> APIRouter:
    router = APIRouter(prefix="/v1/unlocks", tags=["unlocks"])

    @router.post(
        "",
        status_code=204,
        summary="Let somebody try again",
        description="Ends a lock after too many failures in a row, and the waits before it; of the"
        " guesses of a day, three become free. When this is answered, the next"
        " code is looked at. Somebody who is not locked may be unlocked too.",
        responses=documented(401, 403, 404, 422, 503),
    )
    async def unlock_subject(
        body: UnlockRequest, caller: Annotated[Caller, Depends(caller_with(Right.SUPPORT, find))]
    ) -> None:
        if not await unlock(
            tenant=caller.tenant_id, application_id=caller.application_id, subject=body.subject
        ):
            raise no_such_subject()

    return router
