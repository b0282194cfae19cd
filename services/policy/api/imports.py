"""Bulk imports of subjects: parts of a file come, a worker works through them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.policy.api.answers import never_stored
from services.policy.api.problems import accepted
from services.policy.domain.imports import RowOutcome, State, SubjectImport
from services.policy.domain.subject_rows import MOST_ROWS, Format
from services.policy.use_cases.imports import Imports, WantedImport

LARGEST_PART = 1024 * 1024
_Number = Annotated[int, Path(ge=1, le=MOST_ROWS)]
_RAW = {
    "requestBody": {
        "required": True,
        "content": {"text/plain": {"schema": {"type": "string", "maxLength": LARGEST_PART}}},
    }
}


class ImportBody(BaseModel):
    """`rows` is how many will come, `digest` SHA-256 of the file: it finds an open import again."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    format: Format
    dry_run: bool
    rows: Annotated[int, Field(ge=0, le=MOST_ROWS)] | None = None
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class CountsShown(BaseModel):
    """Rows; of a dry run, what would have become of them."""

    received: int
    created: int
    updated: int
    unchanged: int
    refused: int


class ImportShown(BaseModel):
    """`parts` have come; `progress` is the share of the rows received that is done."""

    import_id: UUID
    format: Format
    dry_run: bool
    state: State
    parts: int
    counts: CountsShown
    progress: float
    created: datetime


class RowShown(BaseModel):
    """Rows are counted from 1, without the header and without empty lines."""

    row: int
    outcome: RowOutcome
    subject_ref: UUID | None
    errors: list[str]


class RowPage(BaseModel):
    """`next_after` asks for the rows after these; null at the end."""

    rows: list[RowShown]
    next_after: int | None


def import_routes(imports: Imports, find: FindCaller) -> APIRouter:
    """Make the routes of imports."""
    router = APIRouter(
        prefix="/v1/imports",
        tags=["imports"],
        dependencies=[Depends(never_stored)],
        responses={**documented(401, 403, 404, 422)},
    )
    manager = Depends(caller_with(Scope.MANAGE, find))
    _sending(router, imports, manager)
    _looking(router, imports, manager)
    return router


def _sending(router: APIRouter, imports: Imports, manager: object) -> None:

    @router.post(
        "",
        status_code=201,
        description="200 and what there is where an import of this file is open already.",
        responses={200: {"model": ImportShown}, **documented(409)},
    )
    async def begin_import(
        caller: Annotated[Caller, manager], body: ImportBody, response: Response
    ) -> ImportShown:
        wanted = WantedImport(body.format, body.dry_run, body.rows, body.digest)
        found, new = accepted(await imports.begin(caller, wanted))
        response.status_code = 201 if new else 200
        return _shown(found)

    @router.put(
        "/{import_id}/parts/{number}",
        description="Whole rows as text in UTF-8, in the order of the numbers; the first part of"
        " a CSV begins with the header. The same part again changes nothing.",
        openapi_extra=_RAW,
        responses={**documented(409, 413)},
        max_body_size=LARGEST_PART,
    )
    async def put_part(
        caller: Annotated[Caller, manager], import_id: UUID, number: _Number, request: Request
    ) -> ImportShown:
        content = await request.body()
        return _shown(
            accepted(await imports.take_part(caller.tenant_id, import_id, number, content))
        )

    @router.post(
        "/{import_id}/start",
        description="All parts have come. Starting again is harmless.",
        responses={**documented(409)},
    )
    async def start_import(caller: Annotated[Caller, manager], import_id: UUID) -> ImportShown:
        return _shown(accepted(await imports.start(caller.tenant_id, import_id)))


def _looking(router: APIRouter, imports: Imports, manager: object) -> None:

    @router.get("/{import_id}", description="How far it is.")
    async def get_import(caller: Annotated[Caller, manager], import_id: UUID) -> ImportShown:
        return _shown(accepted(await imports.load(caller.tenant_id, import_id)))

    @router.get("/{import_id}/rows", description="What became of the rows, a page at a time.")
    async def list_rows(
        caller: Annotated[Caller, manager],
        import_id: UUID,
        after: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 0,
        outcome: RowOutcome | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> RowPage:
        found = accepted(
            await imports.rows(
                caller.tenant_id, import_id, outcome=outcome, after=after, limit=limit + 1
            )
        )
        rows = [
            RowShown(
                row=one.number,
                outcome=one.outcome,
                subject_ref=one.subject_ref,
                errors=list(one.errors),
            )
            for one in found[:limit]
        ]
        return RowPage(rows=rows, next_after=rows[-1].row if len(found) > limit else None)

    @router.delete(
        "/{import_id}",
        description="Goes no further; what is done stays done.",
        responses={**documented(409)},
    )
    async def cancel_import(caller: Annotated[Caller, manager], import_id: UUID) -> ImportShown:
        return _shown(accepted(await imports.cancel(caller.tenant_id, import_id)))


def _shown(found: SubjectImport) -> ImportShown:
    counts = found.counts
    return ImportShown(
        import_id=found.import_id,
        format=found.format,
        dry_run=found.dry_run,
        state=found.state,
        parts=found.parts,
        counts=CountsShown(
            received=found.received,
            created=counts.created,
            updated=counts.updated,
            unchanged=counts.unchanged,
            refused=counts.refused,
        ),
        progress=round(counts.worked / found.received, 3)
        if found.received
        else float(found.state is State.FINISHED),
        created=found.created,
    )
