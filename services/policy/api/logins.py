"""The logins of one e-mail address, for whoever helps people."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from contracts.roles import Right
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored, subject_shown
from services.policy.api.schemas import SubjectShown
from services.policy.domain.subject_text import Email
from services.policy.use_cases.logins import Logins


class LoginsBody(BaseModel):
    """Upper and lower case make no difference, nor does how a domain with accents is written."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    email: Email


class LoginsShown(BaseModel):
    """The oldest first; not `complete` beyond a hundred, and for a while after an upgrade."""

    logins: list[SubjectShown]
    complete: bool


def login_routes(logins: Logins, find: FindCaller) -> APIRouter:
    """Make the route that finds logins by address."""
    helper = Annotated[Caller, Depends(caller_with(Right.SUPPORT, find))]
    router = APIRouter(
        prefix="/v1/subjects",
        tags=["subjects"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 422)},
    )

    @router.post("/logins", description="All logins of one e-mail address.")
    async def find_logins(caller: helper, body: LoginsBody) -> LoginsShown:
        found = await logins.find(caller.tenant_id, body.email)
        shown = [subject_shown(one) for one in found.logins]
        return LoginsShown(logins=shown, complete=found.complete)

    return router
