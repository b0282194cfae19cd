"""Recovery keys, recoveries and resets."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from contracts.vocabulary import Scope
from libs.clock import Clock
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.internal_client import Refused, Unreachable
from libs.web.problems import documented
from services.recovery.api import problems
from services.recovery.api.schemas import (
    AcknowledgedAnswer,
    AcknowledgeRequest,
    IssuedAnswer,
    IssueRequest,
    RecoverAnswer,
    RecoverRequest,
    ResetAnswer,
)
from services.recovery.domain.outcome import IssueRefused, RecoveryRefused
from services.recovery.domain.recovery_key import read_recovery_key
from services.recovery.gateways import Tickets
from services.recovery.store import resets
from services.recovery.use_cases.recover import PolicyUnknown, Recover
from services.recovery.use_cases.recovery_keys import RecoveryKeys


def key_routes(
    recovery_keys: RecoveryKeys, *, tickets: Tickets, clock: Clock, find: FindCaller
) -> APIRouter:
    router = APIRouter(prefix="/v1/recovery-keys", tags=["recovery keys"])
    may_enroll = Depends(caller_with(Scope.ENROLL, find))

    @router.post(
        "",
        status_code=201,
        summary="Issue a recovery key",
        description="Shown this once, for the ticket of a confirmed enrollment.",
        responses=documented(401, 403, 409, 422),
    )
    async def issue(
        body: IssueRequest, response: Response, caller: Annotated[Caller, may_enroll]
    ) -> IssuedAnswer:
        response.headers["Cache-Control"] = "no-store"
        ticket = tickets.read(body.ticket, tenant=caller.tenant_id, now=clock())
        if ticket is None:
            raise problems.ticket_invalid()
        issued = await recovery_keys.issue(ticket)
        if isinstance(issued, IssueRefused):
            raise problems.not_issued(issued)
        return IssuedAnswer(
            recovery_key_id=issued.recovery_key_id,
            generation=issued.generation,
            recovery_key=issued.text,
        )

    @router.post(
        "/{key_id}/acknowledgement",
        summary="Acknowledge a recovery key",
        description="The person has written it down: the ticket makes no other one.",
        responses=documented(401, 403, 404, 409, 422),
    )
    async def acknowledge(
        key_id: UUID, body: AcknowledgeRequest, caller: Annotated[Caller, may_enroll]
    ) -> AcknowledgedAnswer:
        refused = await recovery_keys.acknowledge(
            tenant=caller.tenant_id, key_id=key_id, generation=body.generation
        )
        if refused is not None:
            raise problems.not_acknowledged(refused)
        return AcknowledgedAnswer(acknowledged=True)

    return router


def recovery_routes(recover: Recover, *, pool: Pool, find: FindCaller) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["recoveries"])
    may_enroll = Depends(caller_with(Scope.ENROLL, find))

    @router.post(
        "/recoveries",
        summary="Use a recovery key",
        description="All authenticators are removed. `effective`: none is accepted any more;"
        " `pending`: the same key, for 15 minutes, tells of the same reset.",
        responses={202: {"model": RecoverAnswer}, **documented(401, 403, 422, 503)},
    )
    async def use_key(
        body: RecoverRequest, response: Response, caller: Annotated[Caller, may_enroll]
    ) -> RecoverAnswer:
        response.headers["Cache-Control"] = "no-store"
        typed = read_recovery_key(body.recovery_key)
        if typed is None:
            raise problems.not_recovered()
        try:
            outcome = await recover(
                tenant=caller.tenant_id,
                application_id=caller.application_id,
                subject=body.subject,
                typed=typed,
            )
        except (Unreachable, Refused, PolicyUnknown):
            raise problems.unavailable() from None
        if isinstance(outcome, RecoveryRefused):
            raise problems.not_recovered()
        effective = await recover.take_effect(tenant=caller.tenant_id, reset_id=outcome.reset_id)
        response.status_code = 200 if effective else 202
        return RecoverAnswer(
            reset_id=outcome.reset_id, status="effective" if effective else "pending"
        )

    @router.get(
        "/resets/{reset_id}",
        summary="Show a reset",
        description="How far the removal of all authenticators has come.",
        responses=documented(401, 403, 404, 422),
    )
    async def reset(reset_id: UUID, caller: Annotated[Caller, may_enroll]) -> ResetAnswer:
        async with tenant_transaction(pool, caller.tenant_id) as tx:
            found = await resets.find(tx, reset_id)
        if found is None:
            raise problems.no_reset()
        return ResetAnswer(
            reset_id=found.reset_id,
            status=found.status,
            requested_at=found.requested_at,
            completed_at=found.completed_at,
        )

    return router
