"""Routes for other services; who may call which stands in contracts/internal.py."""

from collections.abc import Callable

from fastapi import APIRouter, Depends

from contracts.internal import (
    ACKNOWLEDGE_CODE,
    ACKNOWLEDGE_CREDENTIAL,
    APPLY_RESET,
    CLAIM_CODE,
    CLAIM_CREDENTIAL,
    AcknowledgeCode,
    AcknowledgeCredential,
    ApplyReset,
    ClaimCode,
    ClaimCredential,
    ClaimedCode,
    ClaimedCredential,
    Done,
    letter_place,
)
from libs.sealing.letter import write_letter
from libs.web.identity import InternalCallers
from libs.web.problems import documented
from services.enrollment.api.answers import never_stored
from services.enrollment.api.problems import accepted, not_a_public_key
from services.enrollment.use_cases.credentials import Credentials
from services.enrollment.use_cases.messages import Messages
from services.enrollment.use_cases.remove import Remove


def internal_routes(
    credentials: Credentials,
    messages: Messages,
    remove: Remove,
    callers: Callable[..., InternalCallers],
) -> APIRouter:
    """Make enrollment's internal routes, each for the callers that its contract lists."""
    router = APIRouter(
        tags=["internal"],
        responses=documented(401, 403, 404, 409, 410, 422),
        dependencies=[Depends(never_stored)],
    )

    @router.post(CLAIM_CREDENTIAL.path, dependencies=[Depends(callers(*CLAIM_CREDENTIAL.callers))])
    async def claim(body: ClaimCredential) -> ClaimedCredential:
        credential = accepted(
            await credentials.claim(
                body.tenant,
                body.subject_ref,
                authenticator_id=body.authenticator_id,
                attempt=body.attempt_id,
            )
        )
        place = letter_place(CLAIM_CREDENTIAL, body.tenant, body.authenticator_id, body.attempt_id)
        content: dict[str, object] = credential.model_dump(mode="json")
        try:
            return ClaimedCredential(letter=write_letter(body.public_key, content, place=place))
        except ValueError:
            raise not_a_public_key() from None

    @router.post(
        ACKNOWLEDGE_CREDENTIAL.path,
        dependencies=[Depends(callers(*ACKNOWLEDGE_CREDENTIAL.callers))],
    )
    async def acknowledge(body: AcknowledgeCredential) -> Done:
        accepted(
            await credentials.acknowledge(
                body.tenant, authenticator_id=body.authenticator_id, attempt=body.attempt_id
            )
        )
        return Done(effective=True)

    @router.post(CLAIM_CODE.path, dependencies=[Depends(callers(*CLAIM_CODE.callers))])
    async def claim_code(body: ClaimCode) -> ClaimedCode:
        message = accepted(
            await messages.claim(
                body.tenant, body.subject_ref, code_id=body.code_id, attempt=body.attempt_id
            )
        )
        place = letter_place(CLAIM_CODE, body.tenant, body.code_id, body.attempt_id)
        try:
            return ClaimedCode(letter=write_letter(body.public_key, {**message}, place=place))
        except ValueError:
            raise not_a_public_key() from None

    @router.post(ACKNOWLEDGE_CODE.path, dependencies=[Depends(callers(*ACKNOWLEDGE_CODE.callers))])
    async def acknowledge_code(body: AcknowledgeCode) -> Done:
        accepted(
            await messages.acknowledge(body.tenant, code_id=body.code_id, attempt=body.attempt_id)
        )
        return Done(effective=True)

    @router.post(APPLY_RESET.path, dependencies=[Depends(callers(*APPLY_RESET.callers))])
    async def apply_reset(body: ApplyReset) -> Done:
        effective = await remove.for_reset(body.tenant, body.subject_ref, reset_id=body.reset_id)
        return Done(effective=effective)

    return router
