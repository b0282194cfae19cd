"""Error answers as application/problem+json (RFC 9457), the same in every service."""

from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.sealing.trouble import KeyTrouble
from libs.telemetry import current_traceparent

MEDIA_TYPE = "application/problem+json"
# Where OpenAPI documents keep ProblemBody; libs/service/apps.py puts it there.
COMPONENT = "ProblemBody"
_LOG = structlog.get_logger("web")


class ProblemBody(BaseModel):
    """What a client reads of a problem; `code` is stable, `title` is for people."""

    type: str
    code: str
    title: str
    status: int
    detail: str | None = None
    trace_id: str | None = None
    retry_after: int | None = None
    errors: list[str] | None = None


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - the name RFC 9457 gives it
    """Ends a request with a problem answer; `retry_after` is in seconds.

    Make a new one for each raise: an exception that is kept gathers tracebacks.
    """

    status: int
    code: str
    title: str
    detail: str | None = None
    retry_after: int | None = None
    errors: tuple[str, ...] = field(default=())


def problem_response(problem: Problem) -> JSONResponse:
    """Render a problem."""
    body = ProblemBody(
        type=f"https://watchword.invalid/problems/{problem.code}",
        code=problem.code,
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        trace_id=_trace_id(),
        retry_after=problem.retry_after,
        errors=list(problem.errors) or None,
    )
    headers = {"Cache-Control": "no-store"}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content = body.model_dump(exclude_none=True)
    return JSONResponse(content, problem.status, headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """Return how an error is answered; its cause is logged and stays out of the answer."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, KeyTrouble):
        _LOG.warning("request not served", exception=type(error).__name__, said=str(error))
        return Problem(503, error.code, error.title, retry_after=1)
    if isinstance(error, INFRASTRUCTURE_ERRORS):
        _LOG.warning("request not served", exception=type(error).__name__)
        title = "This cannot be done right now; nothing was changed, or a repeat will tell"
        return Problem(503, "unavailable", title, retry_after=1)
    _LOG.error("request failed", exc_info=error)
    return Problem(500, "internal_error", "Something went wrong on our side")


def answer_with_problems(app: FastAPI) -> None:
    """Make every error answer of the app a problem, and keep causes out of the answers."""

    @app.exception_handler(Problem)
    async def known(_request: Request, problem: Problem) -> JSONResponse:
        return problem_response(problem)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        if _is_not_json(request, error):
            return problem_response(_of_status(415))
        # Places and messages only: the input itself may hold a code or an address.
        errors = tuple(f"{_place(part['loc'])}: {part['msg']}" for part in error.errors())
        return problem_response(
            Problem(422, "malformed_request", "The request is not of the right form", errors=errors)
        )

    @app.exception_handler(HTTPException)
    async def plain(_request: Request, error: HTTPException) -> JSONResponse:
        answer = problem_response(_of_status(error.status_code))
        # A 405 says in Allow what the address does take.
        answer.headers.update(error.headers or {})
        return answer

    async def other(_request: Request, error: Exception) -> JSONResponse:
        return problem_response(problem_of(error))

    for kind in (*INFRASTRUCTURE_ERRORS, Exception):
        app.add_exception_handler(kind, other)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe problem answers of these statuses for OpenAPI (`responses=`)."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{COMPONENT}"}}}
    return {
        status: {"description": _of_status(status).title, "content": content} for status in statuses
    }


_TITLES = {
    400: ("bad_request", "The request cannot be read"),
    401: ("unauthenticated", "A valid application key is needed"),
    403: ("forbidden", "This is not allowed"),
    404: ("not_found", "There is no such thing here"),
    405: ("method_not_allowed", "This address does not take that method"),
    409: ("conflict", "The request does not fit the present state"),
    410: ("gone", "This is no longer available"),
    413: ("too_large", "The request is too large"),
    415: ("unsupported_media_type", "Send application/json"),
    422: ("malformed_request", "The request is not of the right form"),
    429: ("too_many_requests", "Too many requests"),
    503: ("unavailable", "This cannot be done right now"),
}


def _of_status(status: int) -> Problem:
    code, title = _TITLES.get(status, ("error", "The request failed"))
    return Problem(status, code, title)


def _is_not_json(request: Request, error: RequestValidationError) -> bool:
    # FastAPI hands a body of another content type on as bytes, which fit no model.
    whole_body = any(part["loc"] == ("body",) for part in error.errors())
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = request.headers.get("content-length", "0") != "0"
    is_json = kind.startswith("application/") and kind.endswith(("/json", "+json"))
    return whole_body and has_body and not is_json


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def _trace_id() -> str | None:
    parent = current_traceparent()
    return parent.split("-")[1] if parent else None
