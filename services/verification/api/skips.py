"""Putting enrolling off, as often as a rule lets somebody."""

from typing import Annotated, assert_never

from fastapi import APIRouter, Depends, Response

from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.verification.api.problems import (
    clock_off,
    key_reused,
    nothing_to_skip,
    policy_unknown,
)
from services.verification.api.public import IdempotencyKey
from services.verification.api.schemas import SkipAnswer, SkipRequest
from services.verification.domain.outcome import KeyReused
from services.verification.settle import ClockOff
from services.verification.use_cases.decide import PolicyUnknown
from services.verification.use_cases.skips import NothingToSkip, Outcome, Skip, Skipped


def skip_routes(skip: Skip, find: FindCaller) -> APIRouter:
    router = APIRouter(prefix="/v1/skips", tags=["verification"])
    may_verify = Depends(caller_with(Scope.VERIFY, find))

    @router.post(
        "",
        summary="Put enrolling off once",
        description="Where the decision is `enroll` and `skips_left` is not 0; anything else is 409"
        " `nothing_to_skip`. It counts for the person and the rule of this name, in all"
        " applications of the tenant. A repeat with the same `Idempotency-Key` costs nothing.",
        responses=documented(401, 403, 409, 422, 503),
    )
    async def skip_enrolling(
        body: SkipRequest,
        response: Response,
        caller: Annotated[Caller, may_verify],
        idempotency_key: IdempotencyKey = None,
    ) -> SkipAnswer:
        response.headers["Cache-Control"] = "no-store"
        try:
            outcome = await skip(
                tenant=caller.tenant_id,
                application_id=caller.application_id,
                subject=body.subject,
                idempotency_key=idempotency_key,
            )
        except PolicyUnknown:
            raise policy_unknown() from None
        except ClockOff:
            raise clock_off() from None
        return _answer(outcome)

    return router


def _answer(outcome: Outcome) -> SkipAnswer:
    match outcome:
        case Skipped(left):
            return SkipAnswer(skips_left=left)
        case NothingToSkip():
            raise nothing_to_skip()
        case KeyReused():
            raise key_reused()
        case _:
            assert_never(outcome)
