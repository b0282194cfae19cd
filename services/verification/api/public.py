"""POST /v1/decisions and POST /v1/verify."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from contracts.vocabulary import Factor, Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.verification.api.problems import policy_unknown
from services.verification.api.schemas import (
    DecisionAnswer,
    DecisionRequest,
    VerifyAnswer,
    VerifyRequest,
)
from services.verification.api.verify import Door, Envelope, Question
from services.verification.use_cases.decide import Decide, PolicyUnknown

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="For 15 minutes the same request with this key gets the first answer again.",
    ),
]


def public_routes(*, decide: Decide, door: Door, find: FindCaller) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["verification"])
    may_verify = Depends(caller_with(Scope.VERIFY, find))

    @router.post(
        "/decisions",
        summary="Decide what to ask",
        description="`allow`, `challenge` (ask for a code) or `enroll` (there is no factor yet).",
        responses=documented(401, 403, 422),
    )
    async def decisions(
        body: DecisionRequest, response: Response, caller: Annotated[Caller, may_verify]
    ) -> DecisionAnswer:
        response.headers["Cache-Control"] = "no-store"
        try:
            decision, policy = await decide(
                tenant=caller.tenant_id,
                application_id=caller.application_id,
                subject=body.subject,
            )
        except PolicyUnknown:
            raise policy_unknown() from None
        return DecisionAnswer(
            decision=decision.kind,
            reason=decision.reason,
            factors=[Factor(factor) for factor in decision.factors],
            policy_version=policy.version,
        )

    @router.post(
        "/verify",
        summary="Judge a code",
        description="200 is an accepted code, which is now spent, and nothing else is. Every"
        " refusal is the same 403; keys with the scope `verify:reasons` hear why.",
        response_model=VerifyAnswer,
        dependencies=[may_verify],
        responses=documented(401, 403, 422),
    )
    async def verify_code(
        body: VerifyRequest, request: Request, idempotency_key: IdempotencyKey = None
    ) -> Response:
        question = Question(body.subject, body.code, body.authenticator, body.next_code)
        envelope = Envelope(
            authorization=request.headers["authorization"],
            idempotency_key=idempotency_key,
            traceparent=request.headers.get("traceparent"),
        )
        return await door(question, envelope)

    return router
