"""POST /v1/verify: how a request becomes an attempt, and an outcome an answer.

Most requests take the fast lane, a few lines in front of the app. What it cannot read goes to the
app, which says what is wrong; both end at the same door.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, assert_never
from uuid import UUID

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts import vocabulary
from contracts.subjects import LONGEST, one_form
from libs.telemetry import current_traceparent, is_sampled, span
from libs.web.problems import Problem, problem_of, problem_response
from services.verification.api.problems import (
    authority_down,
    key_reused,
    not_verified,
    policy_unknown,
    unauthenticated,
)
from services.verification.directory import Directory, Known
from services.verification.domain.outcome import ACR, Accepted, CallerChanged, KeyReused, Refused
from services.verification.settle import AuthorityDown, KnownCaller
from services.verification.use_cases.question import Attempt
from services.verification.use_cases.verify import Verify

PATH = "/v1/verify"
# Refusals leave on this grid, so that the time tells strangers nothing (promise 6).
_GRID = timedelta(milliseconds=50)
_CODE = re.compile("[0-9]{6,10}|[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}")
_NEXT_CODE = re.compile("[0-9]{6,8}")
_KEY = re.compile("[!-~]{8,255}")


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request: who it is, the code as typed, and which authenticator if only one."""

    subject: str
    code: str
    authenticator: UUID | None = None
    next_code: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    outcome: Literal["accepted"]
    authenticator: UUID
    factor: str
    acr: str
    amr: tuple[str, ...]
    event_id: UUID
    verified_at: datetime


class Envelope(msgspec.Struct, frozen=True):
    """What stands around a question: whose key, which repeat, which trace."""

    authorization: str
    idempotency_key: str | None
    traceparent: str | None


@dataclass(frozen=True)
class Door:
    """Judges questions for callers who may ask."""

    verify: Verify
    directory: Directory

    async def __call__(self, question: Question, envelope: Envelope) -> Response:
        """Return the answer; raises Problem, or what the machinery raises."""
        began = asyncio.get_running_loop().time()
        known = await self._known(envelope)
        outcome = await self._judge(known, question, envelope)
        if isinstance(outcome, CallerChanged):
            self.directory.forget()
            known = await self._known(envelope)
            outcome = await self._judge(known, question, envelope)
        match outcome:
            case Accepted():
                return _accepted(outcome)
            case Refused():
                return await _refused(outcome, known, began)
            case KeyReused():
                raise key_reused()
            case CallerChanged():
                raise authority_down()
            case _:
                assert_never(outcome)

    async def _known(self, envelope: Envelope) -> Known:
        known = await self.directory.known(envelope.authorization)
        if known is None:
            raise unauthenticated()
        if vocabulary.Scope.VERIFY not in known.caller.scopes:
            raise Problem(
                403,
                "missing_scope",
                "The application key lacks a scope",
                detail=vocabulary.Scope.VERIFY,
            )
        return known

    async def _judge(
        self, known: Known, question: Question, envelope: Envelope
    ) -> Accepted | Refused | KeyReused | CallerChanged:
        if known.policy is None:
            raise policy_unknown()
        caller = known.caller
        attempt = Attempt(
            caller=KnownCaller(caller.tenant_id, caller.application_id, known.version),
            subject=question.subject,
            code=question.code,
            authenticator_id=question.authenticator,
            idempotency_key=envelope.idempotency_key,
            factors=known.policy.factors,
            traceparent=current_traceparent() or envelope.traceparent,
            next_code=question.next_code,
        )
        try:
            return await self.verify(attempt)
        except AuthorityDown:
            raise authority_down() from None


def _accepted(outcome: Accepted) -> Response:
    body = _Answer(
        outcome="accepted",
        authenticator=outcome.authenticator_id,
        factor=outcome.factor,
        acr=ACR,
        amr=outcome.amr,
        event_id=outcome.event_id,
        verified_at=outcome.at,
    )
    return Response(
        msgspec.json.encode(body),
        headers={"cache-control": "no-store"},
        media_type="application/json",
    )


async def _refused(refused: Refused, known: Known, began: float) -> Response:
    reasons = vocabulary.Scope.VERIFY_REASONS in known.caller.scopes
    if not reasons:
        grid = _GRID.total_seconds()
        passed = asyncio.get_running_loop().time() - began
        await asyncio.sleep(grid - passed % grid)
    return problem_response(not_verified(refused, reasons=reasons))


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
    twice = body.count(b'"authenticator"') > 1 or body.count(b'"next_code"') > 1
    if not once or twice or b"\\" in body:
        return None
    try:
        question = _DECODER.decode(body)
    except msgspec.MsgspecError:
        return None
    if not _CODE.fullmatch(question.code) or not 1 <= len(question.subject) <= LONGEST:
        return None
    name, next_code = question.subject, question.next_code
    if next_code is not None and not _NEXT_CODE.fullmatch(next_code):
        return None
    plain = name.isascii() and name.isprintable() and " " not in name
    return question if plain or _has_one_form(name) else None


def _has_one_form(name: str) -> bool:
    try:
        one_form(name)
    except ValueError:
        return False
    return True


def _first(message: Message, receive: Receive) -> Callable[[], Awaitable[Message]]:
    waiting = [message]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
