"""Open the seals of a subject's authenticators and compare their codes with the one given."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import key_version, open_seal
from services.verification.domain.places import CREDENTIAL, credential_place
from services.verification.domain.totp import TotpParameters, matching_step
from services.verification.reserve import CachedAuthenticator


class Match(msgspec.Struct, frozen=True):
    """The authenticator whose code it is, and the step of that code."""

    authenticator: CachedAuthenticator
    step: int


@dataclass(frozen=True)
class Compute:
    """Judges a code without regard to whether it was spent; only settle knows that."""

    data_keys: DataKeys

    async def __call__(
        self,
        usable: Sequence[CachedAuthenticator],
        code: str,
        *,
        tenant: UUID,
        subject_ref: UUID,
        now: datetime,
    ) -> Match | None:
        """Return what the code matches; raises SealBroken for a credential of somebody else."""
        # All of them are computed, so that the time does not tell which one matched.
        found = None
        for one in usable:
            secret = await self._open(one, tenant, subject_ref)
            parameters = TotpParameters(one.algorithm, one.digits, one.period)
            step = matching_step(secret, code, parameters=parameters, at=now)
            if step is not None:
                found = Match(one, step)
        return found

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
