"""Open the seals of a subject's authenticators and compare their codes with the one given."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from contracts.vocabulary import Factor
from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import key_version, open_seal
from services.verification.domain import hotp, recovery_codes, totp
from services.verification.domain.budget import digits_of
from services.verification.domain.otp import OtpParameters
from services.verification.domain.places import CREDENTIAL, RECOVERY_CODES, credential_place
from services.verification.reserve import CachedAuthenticator
from services.verification.use_cases.pins import PinChecks

_PIN, _RECOVERY_CODE, _HOTP = Factor.PIN.value, Factor.RECOVERY_CODE.value, Factor.HOTP.value
# A PIN has no step: it may be used again.
_NO_STEP = 0


class Guess(msgspec.Struct, frozen=True):
    """A code, when it came, and the code after it where a counter is to be resynchronised."""

    code: str
    next_code: str | None
    at: datetime

    def __repr__(self) -> str:
        """Never show the code."""
        return f"Guess({self.at})"


class Match(msgspec.Struct, frozen=True):
    """The authenticator whose code it is, and the step of that code: what can be spent once.

    For HOTP its counter, for recovery codes the place in the set.
    """

    authenticator: CachedAuthenticator
    step: int


@dataclass(frozen=True)
class Compute:
    """Judges a code without regard to whether it was spent; only settle knows that."""

    data_keys: DataKeys
    pins: PinChecks

    async def __call__(
        self,
        usable: Sequence[CachedAuthenticator],
        guess: Guess,
        *,
        tenant: UUID,
        subject_ref: UUID,
    ) -> Match | None:
        """Return what the code matches; raises SealBroken for a foreign credential, TooManyPins."""
        # All whose codes have this form are computed, so that the time does not tell which one
        # matched; PINs, which take longest, beside the others.
        found, checks = None, []
        for one in _comparable(usable, guess):
            secret = await self._open(one, tenant, subject_ref)
            if one.factor == _PIN:
                checks.append((one, self.pins.begin(secret, guess.code)))
                continue
            if one.factor == _RECOVERY_CODE:
                step = await self._place_of(secret, guess, tenant)
            else:
                step = _step_of(one, secret, guess)
            found = Match(one, step) if step is not None else found
        for one, check in checks:
            found = Match(one, _NO_STEP) if await check else found
        return found

    async def _place_of(self, kept: bytes, guess: Guess, tenant: UUID) -> int | None:
        version = recovery_codes.key_version_of(kept)
        key = await self.data_keys.version(tenant=tenant, purpose=RECOVERY_CODES, version=version)
        return recovery_codes.matching_place(kept, guess.code, key=key.key)

    async def _open(self, one: CachedAuthenticator, tenant: UUID, subject_ref: UUID) -> bytes:
        version = key_version(one.sealed)
        key = await self.data_keys.version(tenant=tenant, purpose=CREDENTIAL, version=version)
        place = credential_place(
            tenant,
            subject_ref,
            authenticator_id=one.authenticator_id,
            factor=one.factor,
            epoch=one.epoch,
        )
        return open_seal(key, one.sealed, place=place)


def _comparable(
    usable: Sequence[CachedAuthenticator], guess: Guess
) -> Sequence[CachedAuthenticator]:
    digits = digits_of(guess.code)
    return [
        one
        for one in usable
        if one.digits == digits and (guess.next_code is None or one.factor == _HOTP)
    ]


def _step_of(one: CachedAuthenticator, secret: bytes, guess: Guess) -> int | None:
    if one.algorithm is None or one.digits is None:
        raise ValueError(f"a credential of {one.factor} lacks how its codes are made")
    parameters = OtpParameters(one.algorithm, one.digits)
    if one.period is not None:
        return totp.matching_step(
            secret, guess.code, parameters=parameters, period=one.period, at=guess.at
        )
    if guess.next_code is not None:
        return hotp.resynchronised_counter(
            secret, guess.code, guess.next_code, parameters=parameters, last_used=one.last_step
        )
    return hotp.matching_counter(secret, guess.code, parameters=parameters, last_used=one.last_step)
