"""Subjects; the application's own id of one stands in bodies only, never in an address."""

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from contracts.roles import Right
from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import NEVER_STORED, never_stored, subject_shown
from services.policy.api.problems import accepted
from services.policy.api.schemas import (
    SubjectPage,
    SubjectPatch,
    SubjectSearch,
    SubjectShown,
)
from services.policy.domain.subject import Keep, SubjectChange
from services.policy.domain.subject_text import SubjectBody, attributes_of, personal_of
from services.policy.use_cases.subjects import Subjects

Value = TypeVar("Value")
_BEFORE_ALL = UUID(int=0)


def subject_routes(subjects: Subjects, find: FindCaller) -> APIRouter:
    """Make the routes of subjects."""
    manager = Annotated[Caller, Depends(caller_with(Scope.MANAGE, find))]
    helper = Annotated[Caller, Depends(caller_with(Right.SUPPORT, find))]
    router = APIRouter(
        prefix="/v1/subjects",
        tags=["subjects"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 404, 422)},
    )

    @router.post(
        "",
        status_code=201,
        description="Of `subject_exists`, the `detail` is the subject_ref of the one there is.",
        responses={**documented(409)},
    )
    async def create_subject(caller: manager, body: SubjectBody) -> SubjectShown:
        made = await subjects.create(caller, personal_of(body), attributes_of(body))
        return subject_shown(accepted(made))

    @router.post("/search", description="By the application's own id, which no address may hold.")
    async def search_subject(caller: helper, body: SubjectSearch) -> SubjectShown:
        return subject_shown(accepted(await subjects.find(caller.tenant_id, body.subject)))

    @router.get(
        "", description="A page; `next_cursor` is the next one's `cursor`, null at the end."
    )
    async def list_subjects(
        caller: manager,
        cursor: UUID = _BEFORE_ALL,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> SubjectPage:
        # One more than asked for tells whether there is a next page.
        found = await subjects.page(caller.tenant_id, after=cursor, limit=limit + 1)
        page = [subject_shown(one) for one in found[:limit]]
        more = len(found) > limit
        return SubjectPage(subjects=page, next_cursor=page[-1].subject_ref if more else None)

    @router.get("/{subject_ref}", description="By the id that events name.")
    async def get_subject(caller: helper, subject_ref: UUID) -> SubjectShown:
        return subject_shown(accepted(await subjects.load(caller.tenant_id, subject_ref)))

    @router.patch(
        "/{subject_ref}",
        description="What is left out stays as it is.",
        responses={**documented(409)},
    )
    async def change_subject(
        caller: manager, subject_ref: UUID, body: SubjectPatch
    ) -> SubjectShown:
        changed = await subjects.change(caller, subject_ref, _change(body))
        return subject_shown(accepted(changed))

    @router.delete(
        "/{subject_ref}",
        status_code=204,
        description="What names the person is erased here, and by event everywhere else; the keys"
        " that the person holds are revoked. With 202 a service may still take one of these keys,"
        " until their revocation is repeated or its event has come.",
        responses={202: {"description": "Erased; of the keys the event tells."}, **documented(409)},
    )
    async def delete_subject(caller: manager, subject_ref: UUID) -> Response:
        effective = accepted(await subjects.delete(caller, subject_ref))
        return Response(status_code=204 if effective else 202, headers=NEVER_STORED)

    return router


def _change(body: SubjectPatch) -> SubjectChange:
    def given(name: str, value: Value) -> Value | Keep:
        return value if name in body.model_fields_set else Keep.KEEP

    def required(value: Value | None) -> Value | Keep:
        return Keep.KEEP if value is None else value

    return SubjectChange(
        email=given("email", body.email),
        label=required(body.label),
        user_type=given("user_type", body.user_type),
        groups=required(body.groups),
        language=required(body.language),
    )
