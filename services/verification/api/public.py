"""POST /v1/decisions and POST /v1/verify."""

from typing import Annotated, assert_never

from fastapi import APIRouter, Depends, Header, Response

from contracts.vocabulary import Factor, Scope
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.verification.api.problems import (
    authority_down,
    key_reused,
    not_verified,
    policy_unknown,
)
from services.verification.api.schemas import (
    DecisionAnswer,
    DecisionRequest,
    VerifyAnswer,
    VerifyRequest,
)
from services.verification.domain.outcome import ACR, Accepted, KeyReused, Refused
from services.verification.settle import AuthorityDown
from services.verification.use_cases.decide import Decide, PolicyUnknown, policy_of
from services.verification.use_cases.verify import Attempt, Verify

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


def public_routes(*, decide: Decide, verify: Verify, pool: Pool, find: FindCaller) -> APIRouter:
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
        description="200 is an accepted code, now spent, and nothing else is. Every refusal is the"
        " same 403; keys with the scope `verify:reasons` hear why.",
        responses=documented(401, 403, 422),
    )
    async def verify_code(
        body: VerifyRequest,
        response: Response,
        caller: Annotated[Caller, may_verify],
        idempotency_key: IdempotencyKey = None,
    ) -> VerifyAnswer:
        response.headers["Cache-Control"] = "no-store"
        try:
            attempt = await _attempt(body, caller, pool, idempotency_key)
            outcome = await verify(attempt)
        except PolicyUnknown:
            raise policy_unknown() from None
        except AuthorityDown:
            raise authority_down() from None
        match outcome:
            case Accepted():
                return _accepted(outcome)
            case Refused():
                raise not_verified(outcome, caller)
            case KeyReused():
                raise key_reused()
            case _:
                assert_never(outcome)

    return router


async def _attempt(
    body: VerifyRequest, caller: Caller, pool: Pool, idempotency_key: str | None
) -> Attempt:
    async with tenant_transaction(pool, caller.tenant_id) as tx:
        policy = await policy_of(tx, caller.tenant_id, caller.application_id)
    return Attempt(
        tenant=caller.tenant_id,
        application_id=caller.application_id,
        subject=body.subject,
        code=body.code,
        authenticator_id=body.authenticator,
        idempotency_key=idempotency_key,
        factors=policy.factors,
    )


def _accepted(outcome: Accepted) -> VerifyAnswer:
    return VerifyAnswer(
        outcome="accepted",
        authenticator=outcome.authenticator_id,
        factor=Factor(outcome.factor),
        acr=ACR,
        amr=list(outcome.amr),
        event_id=outcome.event_id,
        verified_at=outcome.at,
    )
