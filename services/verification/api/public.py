"""POST /v1/decisions and POST /v1/verify."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from contracts.roles import Right
from contracts.vocabulary import DecisionKind, Factor, Scope
from libs.telemetry import current_traceparent, read_traceparent
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.verification.api.door import DeviceWanted, Door, Envelope, Question, ReceiptWanted
from services.verification.api.problems import clock_off, may_not_explain, policy_unknown
from services.verification.api.schemas import (
    DecisionAnswer,
    DecisionRequest,
    DeviceKept,
    RulePassedOver,
    RulesApplied,
    VerifyAnswer,
    VerifyRequest,
)
from services.verification.settle import ClockOff
from services.verification.use_cases.decide import Decide, PolicyUnknown
from services.verification.use_cases.question import NamedLimit

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
        description="`allow`, `challenge` (ask for a code), `enroll` (there is no factor yet, and"
        " `skips_left` says how often that may be put off) or `deny` (nobody of these gets in)."
        " A remembered device turns `challenge` into `allow`, and gets its next token.",
        response_model_exclude_none=True,
        responses=documented(401, 403, 422, 503),
    )
    async def decisions(
        body: DecisionRequest, response: Response, caller: Annotated[Caller, may_verify]
    ) -> DecisionAnswer:
        response.headers["Cache-Control"] = "no-store"
        if body.explain and caller.scopes.isdisjoint((Scope.VERIFY_REASONS, Right.READ)):
            raise may_not_explain()
        try:
            decided = await decide(
                tenant=caller.tenant_id,
                application_id=caller.application_id,
                subject=body.subject,
                device=body.device,
            )
        except PolicyUnknown:
            raise policy_unknown() from None
        except ClockOff:
            raise clock_off() from None
        decision, kept = decided.decision, decided.kept
        return DecisionAnswer(
            decision=decision.kind,
            reason=decision.reason,
            factors=[Factor(factor) for factor in decision.factors],
            policy_version=decided.policy.version,
            skips_left=decision.skips_left if decision.kind is DecisionKind.ENROLL else None,
            rules=RulesApplied(
                version=decided.policy.rules_version,
                digest=decided.policy.rules_digest or "",
                decided_by=decided.ask.rule,
                passed_over=[
                    RulePassedOver(rule=name, because=why) for name, why in decided.passed_over
                ]
                if body.explain
                else None,
                in_doubt=decided.in_doubt if body.explain else None,
            )
            if decided.policy.rules_version is not None
            else None,
            remembered=kept is not None,
            device=DeviceKept(id=kept.device_id, token=kept.token, expires=kept.expires)
            if kept is not None
            else None,
        )

    @router.post(
        "/verify",
        summary="Judge a code",
        description="200 is an accepted code, which is now spent, and nothing else is. Every"
        " refusal is the same 403; keys with the scope `verify:reasons` hear why. With `receipt`,"
        " the answer carries a signed receipt that says the nonce, for those who cannot ask us;"
        " with `device: {remember: true}`, the first token of a device that is remembered now.",
        response_model=VerifyAnswer,
        dependencies=[may_verify],
        responses=documented(401, 403, 422, 429, 503),
    )
    async def verify_code(
        body: VerifyRequest, request: Request, idempotency_key: IdempotencyKey = None
    ) -> Response:
        wanted = ReceiptWanted(body.receipt.nonce) if body.receipt is not None else None
        device = DeviceWanted(body.device.remember) if body.device is not None else None
        question = Question(
            body.subject,
            body.code,
            body.authenticator,
            body.next_code,
            wanted,
            device,
            body.source,
            tuple(NamedLimit(own.name, own.guesses, own.seconds) for own in body.limits),
        )
        envelope = Envelope(
            authorization=request.headers["authorization"],
            idempotency_key=idempotency_key,
            traceparent=current_traceparent()
            or read_traceparent(request.headers.get("traceparent")),
        )
        reply = await door(question, envelope)
        answer = Response(reply.body, reply.status)
        answer.raw_headers = reply.headers
        return answer

    return router
