"""The door to verifying: who may ask, and how an outcome becomes an answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, assert_never
from uuid import UUID

import msgspec

from contracts import vocabulary
from libs.telemetry import current_traceparent
from libs.web.problems import Problem, problem_response
from services.verification.api.problems import (
    authority_down,
    clock_off,
    key_reused,
    not_verified,
    overloaded,
    policy_unknown,
    too_many_at_once,
    unauthenticated,
)
from services.verification.api.room import Room
from services.verification.authority import AuthorityWatch
from services.verification.directory import Directory, Known
from services.verification.domain.outcome import (
    ACR,
    Accepted,
    CallerChanged,
    KeyReused,
    Refused,
    Why,
)
from services.verification.domain.receipt import SigningKey
from services.verification.domain.room import Turned
from services.verification.settle import AuthorityDown, ClockOff
from services.verification.use_cases.devices import Devices, Kept
from services.verification.use_cases.question import Attempt, NamedLimit
from services.verification.use_cases.receipts import Receipts
from services.verification.use_cases.verify import Verify

# Refusals leave on this grid, so that the time tells strangers nothing (promise 6).
_GRID = timedelta(milliseconds=50)
# Who asks again at once would cost more than those who are judged: see ADR 17.
_TURNED_AWAY_FOR = timedelta(milliseconds=250)
_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")


class ReceiptWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The application wants a receipt that says this nonce."""

    nonce: str


class DeviceWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the person wants this device to be remembered."""

    remember: bool


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request: who it is, the code as typed, and which authenticator if only one."""

    subject: str
    code: str
    authenticator: UUID | None = None
    next_code: str | None = None
    receipt: ReceiptWanted | None = None
    device: DeviceWanted | None = None
    source: str | None = None
    limits: tuple[NamedLimit, ...] = ()

    @property
    def remember(self) -> bool:
        """Tell whether the device is to be remembered."""
        return self.device is not None and self.device.remember


class _Device(msgspec.Struct, frozen=True):
    id: UUID
    token: str
    expires: datetime


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    outcome: Literal["accepted"]
    authenticator: UUID
    factor: str
    acr: str
    amr: tuple[str, ...]
    event_id: UUID
    verified_at: datetime
    receipt: str | None = None
    device: _Device | None = None


class Envelope(msgspec.Struct, frozen=True):
    """What stands around a question: whose key, which repeat, which trace."""

    authorization: str
    idempotency_key: str | None
    traceparent: str | None


class Reply(msgspec.Struct, frozen=True):
    """An answer as it goes out."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class Door:
    """Judges questions for callers who may ask."""

    verify: Verify
    directory: Directory
    receipts: Receipts
    devices: Devices
    watch: AuthorityWatch
    room: Room

    async def __call__(self, question: Question, envelope: Envelope) -> Reply:
        """Return the answer; raises Problem, or what the machinery raises."""
        if self.watch.clock_is_off:
            raise clock_off()
        began = asyncio.get_running_loop().time()
        known = await self._known(envelope)
        tenant = known.caller.tenant_id
        turned = self.room.enter(tenant)
        if turned is not None:
            await asyncio.sleep(_TURNED_AWAY_FOR.total_seconds())
            return _TURNED_AWAY[turned]
        try:
            reply = await self._answer(known, question, envelope)
        finally:
            self.room.leave(tenant)
        if isinstance(reply, Reply):
            return reply
        # Outside: a refusal that only waits for its time takes nobody's place.
        return await _refused(reply, known, began)

    async def _answer(
        self, known: Known, question: Question, envelope: Envelope
    ) -> Reply | Refused:
        # Before the code is judged: an outcome whose receipt cannot be signed is of little use.
        keys = await self.receipts.keys() if question.receipt is not None else ()
        outcome = await self._judge(known, question, envelope)
        if isinstance(outcome, CallerChanged):
            self.directory.forget()
            known = await self._known(envelope)
            outcome = await self._judge(known, question, envelope)
        match outcome:
            case Accepted():
                kept = await self._remember(outcome, known) if question.remember else None
                return _accepted(outcome, self._receipt(outcome, known, question, keys), kept)
            case Refused():
                return outcome
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
        attempt = Attempt(
            caller=known.as_caller(known.policy),
            subject=question.subject,
            code=question.code,
            authenticator_id=question.authenticator,
            idempotency_key=envelope.idempotency_key,
            policy=known.policy,
            traceparent=envelope.traceparent,
            nonce=question.receipt.nonce if question.receipt is not None else None,
            remember=question.remember,
            next_code=question.next_code,
            source=question.source,
            limits=question.limits,
        )
        try:
            return await self.verify(attempt)
        except ClockOff:
            raise clock_off() from None
        except AuthorityDown:
            raise authority_down() from None

    async def _remember(self, outcome: Accepted, known: Known) -> Kept | None:
        caller = known.caller
        return await self.devices.remember(
            outcome, tenant=caller.tenant_id, application=caller.application_id
        )

    def _receipt(
        self, outcome: Accepted, known: Known, question: Question, keys: Sequence[SigningKey]
    ) -> str | None:
        if question.receipt is None:
            return None
        return self.receipts.sign(
            outcome,
            keys,
            application_id=known.caller.application_id,
            subject=question.subject,
            nonce=question.receipt.nonce,
        )


def _accepted(outcome: Accepted, receipt: str | None, kept: Kept | None) -> Reply:
    device = _Device(kept.device_id, kept.token, kept.expires) if kept is not None else None
    body = msgspec.json.encode(
        _Answer(
            outcome="accepted",
            authenticator=outcome.authenticator_id,
            factor=outcome.factor,
            acr=ACR,
            amr=outcome.amr,
            event_id=outcome.event_id,
            verified_at=outcome.at,
            receipt=receipt,
            device=device,
        )
    )
    length = (b"content-length", b"%d" % len(body))
    return Reply(200, [_NO_STORE, length, _JSON], body)


def problem_reply(problem: Problem) -> Reply:
    """Return a problem as it goes out."""
    response = problem_response(problem)
    return Reply(response.status_code, response.raw_headers, bytes(response.body))


# Made once: what is turned away must cost next to nothing.
_TURNED_AWAY = {
    Turned.FULL: problem_reply(overloaded()),
    Turned.TOO_MANY_OF_ONE: problem_reply(too_many_at_once()),
}


async def _refused(refused: Refused, known: Known, began: float) -> Reply:
    if vocabulary.Scope.VERIFY_REASONS in known.caller.scopes:
        return problem_reply(not_verified(refused, reasons=True))
    grid = _GRID.total_seconds()
    passed = asyncio.get_running_loop().time() - began
    await asyncio.sleep(grid - passed % grid)
    if current_traceparent() is None:
        return _FOR_STRANGERS
    return problem_reply(not_verified(refused, reasons=False))


# Made once: it is the same whatever was refused.
_FOR_STRANGERS = problem_reply(not_verified(Refused(Why.WRONG_CODE), reasons=False))
