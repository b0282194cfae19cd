"""Bulk imports of authenticators: parts of rows come, a worker works through them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.vocabulary import Scope
from libs.web.callers import Caller, FindCaller, caller_with
from libs.web.problems import documented
from services.enrollment.api.answers import never_stored
from services.enrollment.api.import_problems import taken
from services.enrollment.domain.imports import AuthenticatorImport, RowOutcome, State
from services.enrollment.domain.token_rows import MOST_ROWS
from services.enrollment.use_cases.imports import Imports, WantedImport

LARGEST_PART = 1024 * 1024
_Number = Annotated[int, Path(ge=1, le=MOST_ROWS)]
_RAW = {
    "requestBody": {
        "required": True,
        "content": {"text/plain": {"schema": {"type": "string", "maxLength": LARGEST_PART}}},
    }
}


class ImportBody(BaseModel):
    """`rows` is how many will come, `digest` SHA-256 of them: it finds an open import again."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    dry_run: bool
    rows: Annotated[int, Field(ge=0, le=MOST_ROWS)] | None = None
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class CountsShown(BaseModel):
    """Rows; of a dry run, what would have become of them."""

    received: int
    enrolled: int
    stocked: int
    unchanged: int
    refused: int


class ImportShown(BaseModel):
    """`parts` have come; `progress` is the share of the rows received that is done."""

    import_id: UUID
    dry_run: bool
    state: State
    parts: int
    counts: CountsShown
    progress: float
    created: datetime


class RowShown(BaseModel):
    """Rows are counted from 1, without empty lines."""

    row: int
    outcome: RowOutcome
    authenticator_id: UUID | None
    hardware_token_id: UUID | None
    errors: list[str]


class RowPage(BaseModel):
    """`next_after` asks for the rows after these; null at the end."""

    rows: list[RowShown]
    next_after: int | None


def import_routes(imports: Imports, find: FindCaller) -> APIRouter:
    """Make the routes of imports."""
    router = APIRouter(
        prefix="/v1/authenticator-imports",
        tags=["authenticator imports"],
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
        description="200 and what there is where an import of these rows is open already.",
        responses={200: {"model": ImportShown}, **documented(409)},
    )
    async def begin_authenticator_import(
        caller: Annotated[Caller, manager], body: ImportBody, response: Response
    ) -> ImportShown:
        wanted = WantedImport(body.dry_run, body.rows, body.digest)
        found, new = taken(await imports.begin(caller, wanted))
        response.status_code = 201 if new else 200
        return _shown(found)

    @router.put(
        "/{authenticator_import_id}/parts/{number}",
        description="Whole rows as JSON lines in UTF-8, in the order of the numbers. A row is"
        " `{factor: totp|hotp, secret (base32), algorithm?, digits?, period?|counter?, serial?,"
        " subject?, name?}`: with a subject it becomes an authenticator, else a token in stock."
        ' `{"refused": true}` stands for a row that the sender could not use. The same part again'
        " changes nothing.",
        openapi_extra=_RAW,
        responses={**documented(409, 413)},
        max_body_size=LARGEST_PART,
    )
    async def put_authenticator_part(
        caller: Annotated[Caller, manager],
        authenticator_import_id: UUID,
        number: _Number,
        request: Request,
    ) -> ImportShown:
        content = await request.body()
        return _shown(
            taken(
                await imports.take_part(caller.tenant_id, authenticator_import_id, number, content)
            )
        )

    @router.post(
        "/{authenticator_import_id}/start",
        description="All parts have come. Starting again is harmless.",
        responses={**documented(409)},
    )
    async def start_authenticator_import(
        caller: Annotated[Caller, manager], authenticator_import_id: UUID
    ) -> ImportShown:
        return _shown(taken(await imports.start(caller.tenant_id, authenticator_import_id)))


def _looking(router: APIRouter, imports: Imports, manager: object) -> None:

    @router.get("/{authenticator_import_id}", description="How far it is.")
    async def get_authenticator_import(
        caller: Annotated[Caller, manager], authenticator_import_id: UUID
    ) -> ImportShown:
        return _shown(taken(await imports.load(caller.tenant_id, authenticator_import_id)))

    @router.get(
        "/{authenticator_import_id}/rows", description="What became of the rows, a page at a time."
    )
    async def list_authenticator_rows(
        caller: Annotated[Caller, manager],
        authenticator_import_id: UUID,
        after: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 0,
        outcome: RowOutcome | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> RowPage:
        found = taken(
            await imports.rows(
                caller.tenant_id,
                authenticator_import_id,
                outcome=outcome,
                after=after,
                limit=limit + 1,
            )
        )
        rows = [
            RowShown(
                row=one.number,
                outcome=one.outcome,
                authenticator_id=one.authenticator_id,
                hardware_token_id=one.hardware_token_id,
                errors=list(one.errors),
            )
            for one in found[:limit]
        ]
        return RowPage(rows=rows, next_after=rows[-1].row if len(found) > limit else None)

    @router.delete(
        "/{authenticator_import_id}",
        description="Goes no further; what is done stays done, what waits is erased.",
        responses={**documented(409)},
    )
    async def cancel_authenticator_import(
        caller: Annotated[Caller, manager], authenticator_import_id: UUID
    ) -> ImportShown:
        return _shown(taken(await imports.cancel(caller.tenant_id, authenticator_import_id)))


def _shown(found: AuthenticatorImport) -> ImportShown:
    counts = found.counts
    over = float(found.state is State.FINISHED)
    return ImportShown(
        import_id=found.import_id,
        dry_run=found.dry_run,
        state=found.state,
        parts=found.parts,
        counts=CountsShown(
            received=found.received,
            enrolled=counts.enrolled,
            stocked=counts.stocked,
            unchanged=counts.unchanged,
            refused=counts.refused,
        ),
        progress=round(counts.worked / found.received, 3) if found.received else over,
        created=found.created,
    )
