"""POST /v1/verify: how a request becomes a question.

Most requests take the fast lane, a few lines in front of the app. What it cannot read goes to the
app, which says what is wrong; both end at the same door.
"""

import re

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from contracts.subjects import LONGEST, one_form
from libs.telemetry import current_traceparent, is_chosen, read_traceparent, span
from libs.web.bodies import again, read_messages, whole_body
from libs.web.problems import problem_of
from services.verification.api.door import Door, Envelope, Question, Reply, problem_reply

PATH = "/v1/verify"
_LONGEST_BODY = 8 * 1024
_CODE = re.compile("[0-9]{6,10}|[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}")
_NEXT_CODE = re.compile("[0-9]{6,8}")
_KEY = re.compile("[!-~]{8,255}")
_NONCE = re.compile("[!-~]{8,128}")
_ANY_NONCE = "a" * 8
# Subject and code are each a name and a text in quotation marks; more marks say more than that.
_PLAIN = 8
_NAMES = tuple(
    f'"{name}"'.encode()
    for name in (
        *("subject", "code", "authenticator", "next_code"),
        *("receipt", "nonce", "device", "remember", "source", "limits"),
    )
)


def fast_lane(app: ASGIApp, door: Door) -> ASGIApp:
    """Return an app that answers well-formed questions itself and hands on everything else."""

    async def lane(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        messages = await read_messages(receive, longest=_LONGEST_BODY)
        read = _read(scope["headers"], whole_body(messages, longest=_LONGEST_BODY))
        if read is None:
            await app(scope, again(messages, receive), send)
            return
        question, envelope = read
        if is_chosen(envelope.traceparent):
            with span(f"POST {PATH}", traceparent=envelope.traceparent, chosen=True):
                now = msgspec.structs.replace(envelope, traceparent=current_traceparent())
                reply = await _answered(door, question, now)
        else:
            reply = await _answered(door, question, envelope)
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
        )
        await send({"type": "http.response.body", "body": reply.body})

    return lane


async def _answered(door: Door, question: Question, envelope: Envelope) -> Reply:
    try:
        return await door(question, envelope)
    except Exception as error:  # every error becomes an answer here
        return problem_reply(problem_of(error))


def _read(raw: list[tuple[bytes, bytes]], body: bytes | None) -> tuple[Question, Envelope] | None:
    headers = dict(raw)
    key = headers.get(b"idempotency-key")
    plain = (
        len(headers) == len(raw)
        and headers.get(b"content-type") == b"application/json"
        and b"authorization" in headers
    )
    idempotency_key = key.decode("latin-1") if key is not None else None
    if not plain or (idempotency_key is not None and not _KEY.fullmatch(idempotency_key)):
        return None
    question = _question(body) if body is not None else None
    if question is None:
        return None
    trace = headers.get(b"traceparent")
    envelope = Envelope(
        headers[b"authorization"].decode("latin-1"),
        idempotency_key,
        read_traceparent(trace.decode("latin-1")) if trace is not None else None,
    )
    return question, envelope


_DECODER = msgspec.json.Decoder(Question)


def _question(body: bytes) -> Question | None:
    # A name that stands twice, or is written with escapes, is the app's to look at.
    if b"\\" in body or (body.count(b'"') > _PLAIN and _says_twice(body)):
        return None
    try:
        question = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    nonce = question.receipt.nonce if question.receipt is not None else _ANY_NONCE
    # Addresses and limits are the app's to look at.
    if question.source is not None or question.limits or not _NONCE.fullmatch(nonce):
        return None
    if question.next_code is not None and not _NEXT_CODE.fullmatch(question.next_code):
        return None
    name = question.subject
    if not _CODE.fullmatch(question.code) or not 1 <= len(name) <= LONGEST:
        return None
    plain = name.isascii() and name.isprintable() and " " not in name
    return question if plain or _has_one_form(name) else None


def _says_twice(body: bytes) -> bool:
    return any(body.count(name) > 1 for name in _NAMES)


def _has_one_form(name: str) -> bool:
    try:
        one_form(name)
    except ValueError:
        return False
    return True
