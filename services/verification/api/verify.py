"""POST /v1/verify: how a request becomes a question.

Most requests take the fast lane, a few lines in front of the app. What it cannot read goes to the
app, which says what is wrong; both end at the same door.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.subjects import LONGEST, one_form
from libs.telemetry import is_sampled, span
from libs.web.problems import problem_of, problem_response
from services.verification.api.door import Door, Envelope, Question

PATH = "/v1/verify"
_CODE = re.compile("[0-9]{6,10}")
_KEY = re.compile("[!-~]{8,255}")
_NONCE = re.compile("[!-~]{8,128}")


def fast_lane(app: ASGIApp, door: Door) -> ASGIApp:
    """Return an app that answers well-formed questions itself and hands on everything else."""

    async def lane(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        message = await receive()
        read = _read(scope["headers"], message)
        if read is None:
            await app(scope, _first(message, receive), send)
            return
        question, envelope = read
        traced = is_sampled(envelope.traceparent)
        with span(f"POST {PATH}", traceparent=envelope.traceparent) if traced else nullcontext():
            try:
                response = await door(question, envelope)
            except Exception as error:
                response = problem_response(problem_of(error))
        await response(scope, receive, send)

    return lane


def _read(raw: list[tuple[bytes, bytes]], message: Message) -> tuple[Question, Envelope] | None:
    headers = dict(raw)
    key = headers.get(b"idempotency-key")
    plain = (
        len(headers) == len(raw)
        and headers.get(b"content-type") == b"application/json"
        and b"authorization" in headers
        and message["type"] == "http.request"
        and not message.get("more_body", False)
    )
    idempotency_key = key.decode("latin-1") if key is not None else None
    if not plain or (idempotency_key is not None and not _KEY.fullmatch(idempotency_key)):
        return None
    question = _question(message.get("body", b""))
    if question is None:
        return None
    trace = headers.get(b"traceparent")
    envelope = Envelope(
        headers[b"authorization"].decode("latin-1"),
        idempotency_key,
        trace.decode("latin-1") if trace is not None else None,
    )
    return question, envelope


_DECODER = msgspec.json.Decoder(Question)


def _question(body: bytes) -> Question | None:
    # A name that stands twice, or is written with escapes, is the app's to look at.
    once = body.count(b'"subject"') == 1 and body.count(b'"code"') == 1
    if not once or body.count(b'"authenticator"') > 1 or b"\\" in body:
        return None
    try:
        question = _DECODER.decode(body)
    except msgspec.MsgspecError:
        return None
    if question.receipt is not None and not _NONCE.fullmatch(question.receipt.nonce):
        return None
    if not _CODE.fullmatch(question.code) or not 1 <= len(question.subject) <= LONGEST:
        return None
    name = question.subject
    if not (name.isascii() and name.isprintable() and " " not in name):
        try:
            one_form(name)
        except ValueError:
            return None
    return question


def _first(message: Message, receive: Receive) -> Callable[[], Awaitable[Message]]:
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
