"""The start of an enrollment: what is made or taken of what the person chose, by its factor."""

import asyncio
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, assert_never
from uuid import UUID

from contracts.policy import ApplicationState
from contracts.vocabulary import Factor
from services.enrollment.domain import recovery_codes
from services.enrollment.domain.otp import SECRET_LENGTH
from services.enrollment.domain.parameters import Pin
from services.enrollment.domain.phone import Unusable, normal_number
from services.enrollment.domain.pin import SALT_LENGTH, is_weak, pin_hash
from services.enrollment.domain.refusals import Refusal
from services.enrollment.domain.totp import STANDARD
from services.enrollment.domain.wishes import (
    Begun,
    ChosenPin,
    NewCodes,
    NewKey,
    NewPasskey,
    Phone,
    TokenSeed,
    TokenSerial,
    Wish,
)
from services.enrollment.use_cases.passkeys import Passkeys
from services.enrollment.use_cases.stock import Stock

Result = TypeVar("Result")
# A hash takes 40 ms of a core and 19 MiB.
_HASHES_AT_ONCE = 2
_MOST_WAITING = 64


class TooBusyError(OSError):
    """So many hashes wait that one more would not be done in time."""


class SlowWork:
    """Threads for argon2, which leaves Python to others while it runs; a few at a time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._here = 0

    async def __call__(self, work: Callable[[], Result]) -> Result:
        """Return what the work gives; raises TooBusyError, a 503, where too much waits already."""
        if self._here >= _MOST_WAITING:
            raise TooBusyError
        self._here += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work)
        finally:
            self._here -= 1


@dataclass(frozen=True)
class Beginning:
    """Makes what an enrollment is about."""

    slow: SlowWork
    passkeys: Passkeys
    stock: Stock

    async def __call__(
        self, tenant: UUID, application: ApplicationState, subject_ref: UUID, wish: Wish
    ) -> Begun | Refusal:
        """Return what is to be confirmed; nothing is stored yet."""
        match wish.choice:
            case TokenSerial(serial):
                begun = await self.stock.begin(tenant, serial, wish.factor)
            case NewPasskey():
                begun = await self._passkey(tenant, application, subject_ref)
            case ChosenPin(pin):
                begun = await self._pin(pin)
            case Phone(number, region):
                begun = _phone(number, region, wish.factor)
            case NewKey():
                begun = Begun(secrets.token_bytes(SECRET_LENGTH), STANDARD)
            case TokenSeed(secret, parameters):
                begun = Begun(secret, parameters)
            case NewCodes():
                codes = recovery_codes.new_codes(secrets.choice)
                begun = Begun(json.dumps(codes).encode(), None)
            case _:
                assert_never(wish.choice)
        return begun

    async def _passkey(
        self, tenant: UUID, application: ApplicationState, subject_ref: UUID
    ) -> Begun | Refusal:
        ceremony = await self.passkeys.ceremony(tenant, application, subject_ref)
        if isinstance(ceremony, Refusal):
            return ceremony
        return Begun(ceremony.model_dump_json().encode(), None)

    async def _pin(self, pin: str) -> Begun | Refusal:
        if is_weak(pin):
            return Refusal.WEAK_PIN
        hashed = await self.slow(lambda: pin_hash(pin, os.urandom(SALT_LENGTH)))
        return Begun(hashed, Pin(len(pin)))


_UNUSABLE = {
    Unusable.NO_NUMBER: Refusal.NO_NUMBER,
    Unusable.NO_REGION: Refusal.NO_REGION,
    Unusable.NOT_FOR_THIS: Refusal.NUMBER_NOT_FOR_THIS,
}


def _phone(text: str, region: str | None, factor: Factor) -> Begun | Refusal:
    number = normal_number(text, region, factor)
    if isinstance(number, Unusable):
        return _UNUSABLE[number]
    return Begun(number.encode(), None)
