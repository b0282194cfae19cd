"""Routes for other services; who may call which stands in contracts/internal.py."""

import json
from collections.abc import Callable

from fastapi import APIRouter, Depends

from contracts.internal import (
    RECEIPT_KEYS,
    REVOKE,
    AskReceiptKeys,
    Done,
    ReceiptKeys,
    Revoke,
)
from libs.web.identity import InternalCallers
from libs.web.problems import documented
from services.verification.use_cases.credentials import Credentials
from services.verification.use_cases.receipts import Receipts


def internal_routes(
    credentials: Credentials, receipts: Receipts, callers: Callable[..., InternalCallers]
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

    @router.post(RECEIPT_KEYS.path, dependencies=[Depends(callers(*RECEIPT_KEYS.callers))])
    async def receipt_keys(_body: AskReceiptKeys) -> ReceiptKeys:
        keys = await receipts.keys()
        return ReceiptKeys(keys=tuple(json.dumps(key.public()) for key in keys))

    return router
