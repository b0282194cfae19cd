"""What rules mean for everybody: of rules that are not in force yet, and of those that are."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contracts.roles import Right
from libs.clock import Clock
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import accepted, too_many_surveys
from services.policy.api.surveys_shown import Message, Simulation, shown
from services.policy.domain.rules import RulesText
from services.policy.domain.survey import Fate
from services.policy.use_cases.surveys import Draft, Found, Progress, Surveyed, Surveys

_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
_MOST = 2**31 - 1
_LINES = "text/event-stream"
# Each goes through all people of a tenant; whoever asks for a third waits for one of them.
_AT_ONCE = 2

_DAYS = 30

Price = Annotated[Decimal, Field(ge=0, le=1000, max_digits=10, decimal_places=6)]


class SimulationBody(BaseModel):
    """Rules that are not kept, or a version; without either, those in force.

    `at` is the moment that is looked at, now where it is left out; `prices` is what one message
    costs, in any currency.
    """

    model_config = _STRICT
    rules: RulesText | None = None
    version: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    at: AwareDatetime | None = None
    days: Annotated[int, Field(strict=True, ge=1, le=90)] = _DAYS
    prices: dict[Message, Price] = {}

    @model_validator(mode="after")
    def _one_of_them(self) -> "SimulationBody":
        if self.rules is not None and self.version is not None:
            raise ValueError("rules or a version, not both")
        return self


class PeopleBody(SimulationBody):
    """Whom to list: those for whom this is the hardest of what they meet at any application."""

    meet: Fate
    after: UUID = UUID(int=0)
    limit: Annotated[int, Field(strict=True, ge=1, le=1000)] = 100


class PeopleFound(BaseModel):
    """`next_after` is what to ask for the next page; null at the end, and pages may be empty."""

    subject_refs: list[UUID]
    next_after: UUID | None


class Looking:
    """One look at a tenant at a time, and two in a process: each goes through everybody."""

    def __init__(self, surveys: Surveys) -> None:
        self._surveys = surveys
        self._under_way: set[UUID] = set()
        self._listing = asyncio.Semaphore(_AT_ONCE)

    async def people(self, tenant: UUID, body: PeopleBody, draft: Draft) -> Found:
        """Return some people who meet something; raises Problem."""
        async with self._listing:
            ground = accepted(await self._surveys.prepare(tenant, draft))
            return await self._surveys.people(
                tenant, draft, ground, fate=body.meet, after=body.after, limit=body.limit
            )

    async def steps(
        self, tenant: UUID, draft: Draft
    ) -> tuple[Progress | Surveyed, AsyncIterator[Progress | Surveyed]]:
        """Return the first step and the others; raises Problem, so that nothing is sent before."""
        steps = self._steps(tenant, draft)
        return await anext(steps), steps

    async def _steps(self, tenant: UUID, draft: Draft) -> AsyncIterator[Progress | Surveyed]:
        if tenant in self._under_way or len(self._under_way) >= _AT_ONCE:
            raise too_many_surveys()
        self._under_way.add(tenant)
        try:
            ground = accepted(await self._surveys.prepare(tenant, draft))
            async for step in self._surveys.look(tenant, draft, ground):
                if isinstance(step, Surveyed):
                    break
                yield step
        finally:
            self._under_way.discard(tenant)
        # Nobody else waits until the result is read.
        yield step


def survey_routes(surveys: Surveys, find: FindCaller, clock: Clock) -> APIRouter:
    """Make the routes that look at what rules mean."""
    reader = Annotated[Caller, Depends(caller_with(Right.READ, find))]
    looking = Looking(surveys)
    router = APIRouter(
        prefix="/v1",
        tags=["rules"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 422)},
    )

    @router.post(
        "/rules/simulation",
        description="What rules would mean for everybody, now or at another time, and for the"
        f" logins of the last days. With `Accept: {_LINES}` an event says how far it is, time and"
        " again, and the last one is the result.",
        responses={
            200: {"content": {_LINES: {"schema": {"type": "string"}}}},
            **documented(404, 429),
        },
        response_model=Simulation,
    )
    async def simulate(caller: reader, body: SimulationBody, request: Request) -> Response:
        draft = Draft(body.at or clock(), body.days, body.rules, body.version)
        first, following = await looking.steps(caller.tenant_id, draft)
        if request.headers.get("accept") == _LINES:
            lines = _lines(first, following, draft, body.prices)
            return StreamingResponse(lines, media_type=_LINES)
        result = await _last(first, following)
        return Response(shown(result, draft, body.prices), media_type="application/json")

    @router.post(
        "/rules/simulation/people",
        description="Who would meet what; ask again with `after` until `next_after` is null.",
        responses={**documented(404)},
    )
    async def list_people(caller: reader, body: PeopleBody) -> PeopleFound:
        draft = Draft(body.at or clock(), body.days, body.rules, body.version)
        found = await looking.people(caller.tenant_id, body, draft)
        return PeopleFound(subject_refs=list(found.subject_refs), next_after=found.last)

    @router.get(
        "/coverage",
        description="Who is ready for the rules in force, now or at another time.",
        responses={**documented(429)},
        response_model=Simulation,
    )
    async def coverage(
        caller: reader, at: Annotated[AwareDatetime | None, Query()] = None
    ) -> Response:
        draft = Draft(at or clock(), _DAYS)
        result = await _last(*await looking.steps(caller.tenant_id, draft))
        return Response(shown(result, draft, {}), media_type="application/json")

    return router


async def _last(
    first: Progress | Surveyed, following: AsyncIterator[Progress | Surveyed]
) -> Surveyed:
    last = first
    async for step in following:
        last = step
    if not isinstance(last, Surveyed):
        raise TypeError("the last step is the result")
    return last


async def _lines(
    first: Progress | Surveyed,
    following: AsyncIterator[Progress | Surveyed],
    draft: Draft,
    prices: Mapping[Message, Decimal],
) -> AsyncIterator[str]:
    yield _line(first, draft, prices)
    async for step in following:
        yield _line(step, draft, prices)


def _line(step: Progress | Surveyed, draft: Draft, prices: Mapping[Message, Decimal]) -> str:
    match step:
        case Progress(done=done, of=of):
            return f'data: {{"done":{done},"of":{of}}}\n\n'
        case Surveyed():
            return f'data: {{"result":{shown(step, draft, prices)}}}\n\n'
