"""Who calls a public route: an application, known by its key, with its tenant and scopes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from libs.web.api_keys import KeyParts, read_api_key
from libs.web.problems import Problem


@dataclass(frozen=True)
class Caller:
    """The application behind a request; the tenant comes from here and never from the body."""

    tenant_id: UUID
    application_id: UUID
    key_id: UUID
    mode: str
    scopes: frozenset[str]


# For OpenAPI only: what is refused, and how, is authenticate()'s to say.
APPLICATION_KEY = HTTPBearer(
    scheme_name="application key",
    description="`Authorization: Bearer ww_...`; a key has scopes, and each route wants one.",
    auto_error=False,
)
FindCaller = Callable[[KeyParts], Awaitable[Caller | None]]


def caller_with(scope: str, find: FindCaller) -> Callable[..., Awaitable[Caller]]:
    """Make a route dependency that lets in callers whose key has `scope`.

    A missing, malformed, unknown or revoked key is 401, one without the scope 403.
    """

    async def require(
        request: Request, _documented: Annotated[object, Depends(APPLICATION_KEY)]
    ) -> Caller:
        caller = await authenticate(request.headers.get("authorization"), find)
        if scope not in caller.scopes:
            raise Problem(403, "missing_scope", "The application key lacks a scope", detail=scope)
        return caller

    return require


async def authenticate(authorization: str | None, find: FindCaller) -> Caller:
    """Return who sent this Authorization header; raises Problem 401."""
    kind, _, text = (authorization or "").partition(" ")
    parts = read_api_key(text) if kind.lower() == "bearer" else None
    caller = await find(parts) if parts is not None else None
    if caller is None:
        raise Problem(401, "unauthenticated", "A valid application key is needed")
    return caller
