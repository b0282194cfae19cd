"""A JSON body has one reading: what two parsers could read differently is refused (RFC 8259)."""

import json

from starlette.types import ASGIApp, Receive, Scope, Send

from libs.web.bodies import again, read_messages, whole_body
from libs.web.problems import Problem, problem_response

# Longer bodies are left to the app, which refuses them for their length.
_LONGEST = 64 * 1024


class _Ambiguous(ValueError):  # noqa: N818 - says what the body is
    """A name stands twice in one object."""


def strict_json(app: ASGIApp) -> ASGIApp:
    """Return the app behind a check of JSON bodies: UTF-8, no name twice, nothing but JSON."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_json(scope):
            await app(scope, receive, send)
            return
        messages = await read_messages(receive, longest=_LONGEST)
        wrong = _wrong_with(whole_body(messages, longest=_LONGEST))
        if wrong is not None:
            title = "The request is not of the right form"
            problem = Problem(422, "malformed_request", title, errors=(f"body: {wrong}",))
            await problem_response(problem)(scope, receive, send)
            return
        await app(scope, again(messages, receive), send)

    return checked


def _is_json(scope: Scope) -> bool:
    kinds = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
    return any(b"json" in kind.lower() for kind in kinds)


def _wrong_with(body: bytes | None) -> str | None:
    if not body:
        return None
    try:
        json.loads(body.decode(), object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    except _Ambiguous as ambiguous:
        return str(ambiguous)
    except (ValueError, RecursionError):
        return "not JSON in UTF-8"
    return None


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Ambiguous("a name stands twice")
    return found


def _refuse_constant(_name: str) -> float:
    raise ValueError("not a number")
