"""Routes for other services; who may call which stands in contracts/internal.py."""

from collections.abc import Callable

from fastapi import APIRouter, Depends

from contracts.envelope import application_key
from contracts.internal import PUSH_APPLICATION, REVOKE, Done, PushApplication, Revoke
from contracts.topics import APPLICATIONS
from libs.messaging.copies import save_copy
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.identity import InternalCallers
from libs.web.problems import documented
from services.verification.use_cases.credentials import Credentials


def internal_routes(
    credentials: Credentials, pool: Pool, callers: Callable[..., InternalCallers]
) -> APIRouter:
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

    @router.post(PUSH_APPLICATION.path, dependencies=[Depends(callers(*PUSH_APPLICATION.callers))])
    async def push_application(body: PushApplication) -> Done:
        key = application_key(body.tenant, body.state.application_id)
        async with tenant_transaction(pool, body.tenant) as tx:
            await save_copy(
                tx,
                tenant=body.tenant,
                topic=APPLICATIONS.name,
                key=key,
                state=body.state.model_dump(mode="json"),
            )
        return Done(effective=True)

    return router
