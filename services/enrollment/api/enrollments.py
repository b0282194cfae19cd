"""Start an enrollment, look at it, go on with it elsewhere, confirm it."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from contracts.vocabulary import Scope
from libs.clock import Clock
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.enrollment.api.answers import (
    code_sent,
    confirmation_answer,
    enrollment_shown,
    enrollment_started,
    handover_shown,
    never_stored,
)
from services.enrollment.api.confirmation import ConfirmationBody
from services.enrollment.api.problems import accepted
from services.enrollment.api.receipts import Receipt
from services.enrollment.api.schemas import (
    AuthenticatorSearch,
    CodeSent,
    ConfirmationAnswer,
    ContinuationBody,
    EnrollmentShown,
    EnrollmentStarted,
    HandoverShown,
)
from services.enrollment.api.wishes import EnrollmentBody
from services.enrollment.domain.wishes import Wish
from services.enrollment.use_cases.confirm import Confirm
from services.enrollment.use_cases.enroll import Enroll
from services.enrollment.use_cases.handovers import Handovers
from services.enrollment.use_cases.opening import Opening
from services.enrollment.use_cases.resend import Resend


def enrollment_routes(
    enroll: Enroll,
    confirm: Confirm,
    handovers: Handovers,
    opening: Opening,
    resend: Resend,
    *,
    find: FindCaller,
    clock: Clock,
) -> APIRouter:
    """Make the routes under /v1/enrollments; only the application that began one finds it."""
    router = APIRouter(
        prefix="/v1/enrollments", tags=["enrollments"], dependencies=[Depends(never_stored)]
    )
    may_enroll = Depends(caller_with(Scope.ENROLL, find))

    @router.post(
        "",
        status_code=201,
        response_model_exclude_none=True,
        description="Whoever has an authenticator with codes already shows it first: verify a code"
        " with a `receipt`, and send that as `Watchword-Receipt`.",
        responses=documented(401, 403, 404, 409, 422, 429, 503),
    )
    async def start_enrollment(
        body: EnrollmentBody, caller: Annotated[Caller, may_enroll], receipt: Receipt = None
    ) -> EnrollmentStarted:
        wish = Wish(
            body.subject,
            body.factor,
            body.choice,
            name=body.name,
            receipt=receipt,
            email_code=body.email_code,
        )
        # Drawing a QR code takes some 12 ms.
        return await asyncio.to_thread(enrollment_started, accepted(await enroll(caller, wish)))

    @router.post(
        "/email-code",
        status_code=202,
        description="Sends six digits to the login address, good for ten minutes, five tries, one"
        " enrollment. A code sent before is good no more; its lost tries stay lost.",
        responses=documented(401, 403, 404, 409, 422, 429, 503),
    )
    async def send_email_code(
        body: AuthenticatorSearch, caller: Annotated[Caller, may_enroll]
    ) -> CodeSent:
        return code_sent(accepted(await opening.send(caller, body.subject)))

    @router.post(
        "/continuation",
        response_model_exclude_none=True,
        description="On the other device: what was shown on the first one, once more.",
        responses=documented(401, 403, 404, 410, 422, 503),
    )
    async def continue_enrollment(
        body: ContinuationBody, caller: Annotated[Caller, may_enroll]
    ) -> EnrollmentStarted:
        if body.link_token is not None:
            found = await handovers.by_link(caller, body.link_token)
        else:
            found = await handovers.by_code(caller, body.subject or "", body.code or "")
        return await asyncio.to_thread(enrollment_started, accepted(found))

    @router.get("/{enrollment_id}", responses=documented(401, 403, 404, 422))
    async def show_enrollment(
        enrollment_id: UUID, caller: Annotated[Caller, may_enroll]
    ) -> EnrollmentShown:
        return enrollment_shown(accepted(await enroll.status(caller, enrollment_id)), clock())

    @router.post(
        "/{enrollment_id}/handover",
        status_code=201,
        description="Makes a link and a code with which the enrollment goes on on another device."
        " Either is good once, for ten minutes; asking again makes the former ones void.",
        responses=documented(401, 403, 404, 410, 422),
    )
    async def hand_enrollment_over(
        enrollment_id: UUID, caller: Annotated[Caller, may_enroll]
    ) -> HandoverShown:
        return handover_shown(accepted(await handovers.hand_out(caller, enrollment_id)))

    @router.post(
        "/{enrollment_id}/code",
        status_code=202,
        description="Sends another code to the number; the one before is good no more.",
        responses=documented(401, 403, 404, 410, 422, 429, 503),
    )
    async def send_another_code(
        enrollment_id: UUID, caller: Annotated[Caller, may_enroll]
    ) -> CodeSent:
        return code_sent(accepted(await resend(caller, enrollment_id)))

    @router.post(
        "/{enrollment_id}/confirmation", responses=documented(401, 403, 404, 409, 410, 422)
    )
    async def confirm_enrollment(
        enrollment_id: UUID, body: ConfirmationBody, caller: Annotated[Caller, may_enroll]
    ) -> ConfirmationAnswer:
        confirmed = await confirm(caller, enrollment_id, body.answer)
        return confirmation_answer(accepted(confirmed))

    return router
