"""A tenant's rules: whom to ask for what, from when on."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.roles import Right
from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import accepted
from services.policy.api.proposals import ProposalShown, waiting
from services.policy.domain.proposals import Proposal
from services.policy.domain.rules import RulesText
from services.policy.domain.text import has_one_form
from services.policy.use_cases.rules import Rules, Shown

_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
_MOST = 2**31 - 1
_Version = Annotated[int, Path(ge=1, le=_MOST)]


def _one_form(text: str) -> str:
    if not has_one_form(text):
        raise ValueError("white space outside, unseen characters or text that is not NFC")
    return text


_Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_form)]


class RulesBody(BaseModel):
    """A version, and why it is written."""

    model_config = _STRICT
    rules: RulesText
    reason: _Reason


class PublicationBody(BaseModel):
    """`replaces` is the version that you know to be in force; null where there is none."""

    model_config = _STRICT
    replaces: Annotated[int, Field(ge=1, le=_MOST)] | None
    reason: _Reason


class PublicationShown(BaseModel):
    """`published_by` is the key that said so."""

    published: datetime
    published_by: UUID
    reason: str


class RulesShown(BaseModel):
    """A version never changes; `digest` is SHA-256 of what it says, `author` the key it came by."""

    version: int
    digest: str
    in_force: bool
    author: UUID
    reason: str
    created: datetime
    publications: list[PublicationShown]
    rules: RulesText


class RulesList(BaseModel):
    """The newest first; `next_before` asks for the versions before these, null at the end."""

    versions: list[RulesShown]
    next_before: int | None


class ComparisonBody(BaseModel):
    """Rules that are not kept."""

    model_config = _STRICT
    rules: RulesText


class Comparison(BaseModel):
    """One line a change, and against which version; null where none is in force.

    What is in `lockouts` keeps these rules from being published: nobody could enroll for them.
    """

    changes: list[str]
    in_force: int | None
    lockouts: list[str]


class ChangesShown(BaseModel):
    """One line a change; none where both say the same."""

    changes: list[str]


def rules_routes(rules: Rules, find: FindCaller) -> APIRouter:
    """Make the routes of rules."""
    manager = Annotated[Caller, Depends(caller_with(Scope.MANAGE, find))]
    reader = Annotated[Caller, Depends(caller_with(Right.READ, find))]
    owner = Annotated[Caller, Depends(caller_with(Right.OWN, find))]
    router = APIRouter(
        prefix="/v1/rules",
        tags=["rules"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 404, 422)},
    )

    @router.post("", status_code=201, description="A version; in force when it is published.")
    async def write_rules(caller: manager, body: RulesBody) -> RulesShown:
        return _shown(accepted(await rules.write(caller, body.rules, reason=body.reason)))

    @router.post("/comparison", description="What would change; nothing is kept.")
    async def compare_rules(caller: manager, body: ComparisonBody) -> Comparison:
        found = accepted(await rules.compare(caller.tenant_id, body.rules))
        return Comparison(
            changes=list(found.changes),
            in_force=found.in_force,
            lockouts=list(found.lockouts),
        )

    @router.get("", description="All versions, the newest first.")
    async def list_rules(
        caller: reader,
        before: Annotated[int, Query(ge=1, le=_MOST)] = _MOST,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> RulesList:
        found = [
            _shown(one) for one in await rules.page(caller.tenant_id, before=before, limit=limit)
        ]
        following = found[-1].version if len(found) == limit and found[-1].version > 1 else None
        return RulesList(versions=found, next_before=following)

    @router.get("/{version}", description="What it says, who wrote it, when it was in force.")
    async def get_rules(caller: reader, version: _Version) -> RulesShown:
        return _shown(accepted(await rules.load(caller.tenant_id, version)))

    @router.get(
        "/{version}/changes",
        description="What would change: against the version in force, or the one named.",
    )
    async def get_changes(
        caller: reader,
        version: _Version,
        since: Annotated[int | None, Query(ge=1, le=_MOST)] = None,
    ) -> ChangesShown:
        found = accepted(await rules.changes(caller.tenant_id, version, since=since))
        return ChangesShown(changes=list(found))

    @router.post(
        "/{version}/publication",
        description="Brings a version into force for all applications; an older one rolls back.",
        responses={202: {"model": ProposalShown}, **documented(409)},
    )
    async def publish_rules(
        caller: owner, version: _Version, body: PublicationBody, response: Response
    ) -> RulesShown | ProposalShown:
        published = await rules.publish(caller, version, replaces=body.replaces, reason=body.reason)
        if isinstance(published, Proposal):
            response.status_code = 202
            return waiting(published)
        return _shown(accepted(published))

    return router


def _shown(shown: Shown) -> RulesShown:
    found = shown.version
    return RulesShown(
        version=found.version,
        digest=found.digest,
        in_force=shown.in_force,
        author=found.author,
        reason=found.reason,
        created=found.created,
        publications=[
            PublicationShown(
                published=one.published, published_by=one.published_by, reason=one.reason
            )
            for one in shown.publications
        ],
        rules=found.text,
    )
