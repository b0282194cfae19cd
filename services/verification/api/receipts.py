"""GET /v1/receipts/keys: what it takes to check a receipt, for everybody."""

from fastapi import APIRouter, Response

from libs.web.problems import documented
from services.verification.api.schemas import ReceiptKey, ReceiptKeySet
from services.verification.use_cases.receipts import Receipts

# A key is published a day before it signs, so a copy of an hour lacks none.
_CACHED = "public, max-age=3600"


def receipt_routes(receipts: Receipts) -> APIRouter:
    router = APIRouter(prefix="/v1/receipts", tags=["receipts"])

    @router.get(
        "/keys",
        summary="Get the keys that check receipts",
        description="A JSON Web Key Set (RFC 7517), without a key of the application. Fetch it"
        " again where a receipt names a `kid` that your copy lacks.",
        responses=documented(503),
    )
    async def receipt_keys(response: Response) -> ReceiptKeySet:
        response.headers["Cache-Control"] = _CACHED
        keys = await receipts.keys()
        return ReceiptKeySet(keys=[ReceiptKey.model_validate(key.public()) for key in keys])

    return router
