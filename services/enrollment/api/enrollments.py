"""Start an enrollment, look at it, confirm it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from contracts.vocabulary import Scope
from libs.clock import Clock
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.enrollment.api.answers import (
    confirmation_answer,
    enrollment_shown,
    enrollment_started,
    never_stored,
)
from services.enrollment.api.problems import accepted
from services.enrollment.api.schemas import (
    ConfirmationAnswer,
    ConfirmationBody,
    EnrollmentBody,
    EnrollmentShown,
    EnrollmentStarted,
)
from services.enrollment.use_cases.confirm import Confirm
from services.enrollment.use_cases.enroll import Enroll, Wish


def enrollment_routes(
    enroll: Enroll, confirm: Confirm, *, find: FindCaller, clock: Clock
) -> APIRouter:
    """Make the routes under /v1/enrollments; only the application that began one finds it."""
    router = APIRouter(
        prefix="/v1/enrollments", tags=["enrollments"], dependencies=[Depends(never_stored)]
    )
    may_enroll = Depends(caller_with(Scope.ENROLL, find))

    @router.post("", status_code=201, responses=documented(401, 403, 404, 409, 422, 503))
    async def start_enrollment(
        body: EnrollmentBody, caller: Annotated[Caller, may_enroll]
    ) -> EnrollmentStarted:
        wish = Wish(body.subject, factor=body.factor, name=body.name)
        return enrollment_started(accepted(await enroll(caller, wish)))

    @router.get("/{enrollment_id}", responses=documented(401, 403, 404, 422))
    async def show_enrollment(
        enrollment_id: UUID, caller: Annotated[Caller, may_enroll]
    ) -> EnrollmentShown:
        return enrollment_shown(accepted(await enroll.status(caller, enrollment_id)), clock())

    @router.post(
        "/{enrollment_id}/confirmation", responses=documented(401, 403, 404, 409, 410, 422)
    )
    async def confirm_enrollment(
        enrollment_id: UUID, body: ConfirmationBody, caller: Annotated[Caller, may_enroll]
    ) -> ConfirmationAnswer:
        return confirmation_answer(accepted(await confirm(caller, enrollment_id, body.code)))

    return router
