"""What a tenant says of shared mailboxes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, field_validator

from contracts.roles import Right
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import accepted
from services.policy.api.proposals import ProposalShown, waiting
from services.policy.domain.mailboxes import Mailboxes, Shared, Then, checked_name
from services.policy.domain.proposals import Proposal
from services.policy.use_cases.mailboxes import SharedMailboxes

# A local part is no longer (RFC 5321 section 4.5.3.1.1).
_Name = Annotated[StrictStr, Field(min_length=1, max_length=64), AfterValidator(checked_name)]


class MailboxesBody(BaseModel):
    """`names` stand before the @, `*` at the end for any end; null means the standard ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    then: Then
    names: Annotated[tuple[_Name, ...], Field(max_length=500)] | None = None

    @field_validator("names")
    @classmethod
    def _once_each(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and len(set(names)) != len(names):
            raise ValueError("each name once")
        return names


class MailboxesShown(BaseModel):
    """`standard` says that the names are those of the release; `version` grows with changes."""

    then: Then
    names: list[str]
    standard: bool
    version: int


def mailbox_routes(mailboxes: SharedMailboxes, find: FindCaller) -> APIRouter:
    """Make the routes of what a tenant says of shared mailboxes."""
    reader = Annotated[Caller, Depends(caller_with(Right.READ, find))]
    owner = Annotated[Caller, Depends(caller_with(Right.OWN, find))]
    router = APIRouter(
        prefix="/v1/settings/mailboxes",
        tags=["settings"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 422)},
    )

    @router.get("", description="Which login addresses are shared, and what becomes of these.")
    async def get_mailboxes(caller: reader) -> MailboxesShown:
        return _shown(await mailboxes.load(caller.tenant_id))

    @router.put(
        "",
        description="Whoever logs in with such an address may not enroll (`refuse`), may and is"
        " told apart (`flag`), or may. With four eyes, to let more in waits for a second owner.",
        responses={202: {"model": ProposalShown}, **documented(409)},
    )
    async def put_mailboxes(
        caller: owner, body: MailboxesBody, response: Response
    ) -> MailboxesShown | ProposalShown:
        chosen = await mailboxes.choose(caller, Shared(body.then, body.names))
        if isinstance(chosen, Proposal):
            response.status_code = 202
            return waiting(chosen)
        return _shown(accepted(chosen))

    return router


def _shown(mailboxes: Mailboxes) -> MailboxesShown:
    shared = mailboxes.shared
    return MailboxesShown(
        then=shared.then,
        names=list(shared.patterns),
        standard=shared.names is None,
        version=mailboxes.version,
    )
