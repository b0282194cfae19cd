"""Who calls a public route: an application, known by its key, with its tenant and scopes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
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

# Every request begins with the look-up, which takes about a millisecond. Where the database hangs,
# whoever asks shall hear so, and not hang with it.
_LONGEST_LOOK_UP = timedelta(seconds=2)


def caller_with(
    scope: str, find: FindCaller, *, also: Collection[str] = ()
) -> Callable[..., Awaitable[Caller]]:
    """Make a route dependency that lets in callers whose key has `scope`, or one of `also`.

    A missing, malformed, unknown or revoked key is 401, one without the scope 403.
    """

    async def require(
        request: Request, _documented: Annotated[object, Depends(APPLICATION_KEY)]
    ) -> Caller:
        caller = await authenticate(request.headers.get("authorization"), find)
        if caller.scopes.isdisjoint((scope, *also)):
            raise Problem(403, "missing_scope", "The application key lacks a scope", detail=scope)
        return caller

    return require


async def authenticate(authorization: str | None, find: FindCaller) -> Caller:
    """Return who sent this Authorization header; raises Problem 401, or TimeoutError (a 503)."""
    kind, _, text = (authorization or "").partition(" ")
    parts = read_api_key(text) if kind.lower() == "bearer" else None
    caller = await _in_time(find(parts)) if parts is not None else None
    if caller is None:
        raise Problem(401, "unauthenticated", "A valid application key is needed")
    return caller


async def _in_time(looking_up: Awaitable[Caller | None]) -> Caller | None:
    # asyncio.timeout() would wait for the clean-up, too: a connection in the middle of a statement
    # goes back to its pool only when the server has said that it stopped, or another limit is over.
    task = asyncio.ensure_future(looking_up)
    try:
        await asyncio.wait((task,), timeout=_LONGEST_LOOK_UP.total_seconds())
        if not task.done():
            raise TimeoutError("the look-up of the caller")
        return task.result()
    finally:
        if task.cancel():
            task.add_done_callback(_take_note)


def _take_note(task: asyncio.Future[Caller | None]) -> None:
    # How a look-up failed that nobody waits for is asked, or asyncio would complain of it.
    if not task.cancelled():
        task.exception()
