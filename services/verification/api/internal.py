"""Routes for other services; who may call which stands in contracts/internal.py."""

from collections.abc import Callable

from fastapi import APIRouter, Depends

from contracts.internal import REVOKE, Done, Revoke
from libs.web.identity import InternalCallers
from libs.web.problems import documented
from services.verification.use_cases.credentials import Credentials


def internal_routes(credentials: Credentials, callers: Callable[..., InternalCallers]) -> APIRouter:
    router = APIRouter(tags=["internal"], responses=documented(401, 403, 422))

    @router.post(REVOKE.path, dependencies=[Depends(callers(*REVOKE.callers))])
    async def revoke(body: Revoke) -> Done:
        await credentials.revoke_now(
            tenant=body.tenant,
            subject=body.subject_ref,
            revoked=body.authenticators,
            reset_id=body.reset_id,
        )
        return Done(effective=True)

    return router
