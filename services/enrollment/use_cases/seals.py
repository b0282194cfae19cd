"""Seals secrets and names under the tenant's keys; none of this inside a transaction."""

import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from contracts.vocabulary import Factor
from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import key_version, open_seal, seal
from services.enrollment.domain.enrollment import Enrollment
from services.enrollment.domain.places import (
    CONFIRMATION,
    DIGEST,
    LASTING,
    MESSAGE,
    NAME,
    SECRET,
    message_place,
    name_place,
    secret_place,
)


@dataclass(frozen=True)
class Sealing:
    """Opens and closes what enrollment keeps sealed."""

    data_keys: DataKeys

    async def seal_secret(self, tenant: UUID, enrollment: Enrollment, secret: bytes) -> bytes:
        """Return the secret as it is stored, until it is claimed."""
        key = await self.data_keys.newest(tenant=tenant, purpose=SECRET)
        return seal(key, secret, place=_secret_place_of(tenant, enrollment))

    async def open_secret(self, tenant: UUID, enrollment: Enrollment, sealed: bytes) -> bytes:
        """Return the secret of an enrollment."""
        place = _secret_place_of(tenant, enrollment)
        return await self._open(tenant, SECRET, sealed, place=place)

    async def open_claimed(
        self,
        tenant: UUID,
        subject_ref: UUID,
        *,
        authenticator_id: UUID,
        factor: Factor,
        sealed: bytes,
    ) -> bytes:
        """Return the secret of a credential that is claimed."""
        place = secret_place(tenant, subject_ref, authenticator_id=authenticator_id, factor=factor)
        return await self._open(tenant, SECRET, sealed, place=place)

    async def seal_name(self, tenant: UUID, subject_ref: UUID, owner: UUID, text: str) -> bytes:
        """Return the name of an authenticator, or the label of an enrollment, as it is stored."""
        key = await self.data_keys.newest(tenant=tenant, purpose=NAME)
        return seal(key, text.encode(), place=name_place(tenant, subject_ref, owner=owner))

    async def open_name(self, tenant: UUID, subject_ref: UUID, owner: UUID, sealed: bytes) -> str:
        """Return the text that belongs to an authenticator or an enrollment."""
        place = name_place(tenant, subject_ref, owner=owner)
        return (await self._open(tenant, NAME, sealed, place=place)).decode()

    async def answer_digest(self, tenant: UUID, enrollment: Enrollment, content: bytes) -> bytes:
        """Return what a repeated confirmation is recognised by.

        Under the tenant's key: a code has so few bits that its plain digest would be the code.
        """
        key = await self.data_keys.newest(tenant=tenant, purpose=CONFIRMATION)
        message = enrollment.enrollment_id.bytes + content
        return hmac.new(key.key, message, hashlib.sha256).digest()

    async def seal_message(
        self, tenant: UUID, subject_ref: UUID, code_id: UUID, text: str
    ) -> bytes:
        """Return what is to be sent, as it is stored until notification has sent it."""
        key = await self.data_keys.newest(tenant=tenant, purpose=MESSAGE)
        place = message_place(tenant, subject_ref, code_id=code_id)
        return seal(key, text.encode(), place=place)

    async def open_message(
        self, tenant: UUID, subject_ref: UUID, code_id: UUID, sealed: bytes
    ) -> str:
        """Return what is to be sent."""
        place = message_place(tenant, subject_ref, code_id=code_id)
        return (await self._open(tenant, MESSAGE, sealed, place=place)).decode()

    async def digest(self, tenant: UUID, kind: str, text: str) -> bytes:
        """Return what a code, a link or a number is recognised by, under the tenant's key."""
        key = await self.data_keys.newest(tenant=tenant, purpose=DIGEST)
        return hmac.new(key.key, f"{kind} {text}".encode(), hashlib.sha256).digest()

    async def lasting_digest(self, tenant: UUID, kind: str, content: bytes) -> bytes:
        """Return what must be the same for years, and tells nothing: 32 bytes."""
        await self.data_keys.newest(tenant=tenant, purpose=LASTING)
        # The first key, whichever come after it.
        key = await self.data_keys.version(tenant=tenant, purpose=LASTING, version=1)
        return hmac.new(key.key, f"{kind} ".encode() + content, hashlib.sha256).digest()

    async def _open(
        self, tenant: UUID, purpose: str, sealed: bytes, *, place: tuple[str, ...]
    ) -> bytes:
        key = await self.data_keys.version(
            tenant=tenant, purpose=purpose, version=key_version(sealed)
        )
        return open_seal(key, sealed, place=place)


def _secret_place_of(tenant: UUID, enrollment: Enrollment) -> tuple[str, ...]:
    return secret_place(
        tenant,
        enrollment.subject_ref,
        authenticator_id=enrollment.authenticator_id,
        factor=enrollment.factor,
    )
