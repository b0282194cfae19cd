"""The tenant's keys for imports and for tokens in stock; ask before opening a transaction."""

import hmac
from dataclasses import dataclass
from uuid import UUID

from contracts.vocabulary import Factor
from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import DataKey, bound, key_version, open_seal, seal
from services.enrollment.domain.places import (
    IMPORT_PART,
    LOOKUP,
    NAME,
    SECRET,
    STOCK,
    name_place,
    part_place,
    secret_place,
    token_place,
)

# Digests under two keys would not meet in the unique indexes: this key has one version for ever.
_LOOKUP_VERSION = 1


@dataclass(frozen=True)
class TokenKeys:
    """The open keys of one tenant for one piece of work."""

    tenant: UUID
    part: DataKey
    secret: DataKey
    name: DataKey
    stock: DataKey
    lookup: DataKey

    def digest(self, kind: str, content: bytes) -> bytes:
        """Return by what something is known again: never the plain hash of a secret."""
        return hmac.digest(self.lookup.key, bound((kind,)) + content, "sha256")

    def seal_part(self, content: bytes, *, import_id: UUID, number: int) -> bytes:
        """Return rows as they wait."""
        return seal(self.part, content, place=part_place(self.tenant, import_id, number))

    def seal_secret(
        self, secret: bytes, *, subject_ref: UUID, authenticator_id: UUID, factor: Factor
    ) -> bytes:
        """Return a secret as an authenticator has it until it is claimed."""
        place = secret_place(
            self.tenant, subject_ref, authenticator_id=authenticator_id, factor=factor
        )
        return seal(self.secret, secret, place=place)

    def seal_name(self, name: str, *, subject_ref: UUID, authenticator_id: UUID) -> bytes:
        """Return the name of an authenticator as it is stored."""
        place = name_place(self.tenant, subject_ref, owner=authenticator_id)
        return seal(self.name, name.encode(), place=place)

    def seal_token(self, secret: bytes, *, token_id: UUID, factor: Factor) -> bytes:
        """Return a secret as a token in stock has it."""
        return seal(self.stock, secret, place=token_place(self.tenant, token_id, factor=factor))


@dataclass(frozen=True)
class TokenSeals:
    """Hands out a tenant's keys, and opens what is sealed."""

    data_keys: DataKeys

    async def keys(self, tenant: UUID) -> TokenKeys:
        """Return the keys to seal and to find with."""
        part, secret, name, stock = [
            await self.data_keys.newest(tenant=tenant, purpose=purpose)
            for purpose in (IMPORT_PART, SECRET, NAME, STOCK)
        ]
        await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        lookup = await self.data_keys.version(
            tenant=tenant, purpose=LOOKUP, version=_LOOKUP_VERSION
        )
        return TokenKeys(tenant, part=part, secret=secret, name=name, stock=stock, lookup=lookup)

    async def secret_digest(self, tenant: UUID, secret: bytes) -> bytes:
        """Return by what a secret is known again."""
        return (await self.keys(tenant)).digest("secret", secret)

    async def open_part(
        self, tenant: UUID, import_id: UUID, *, number: int, sealed: bytes
    ) -> bytes:
        """Return rows that wait; raises SealBroken where they were tampered with."""
        place = part_place(tenant, import_id, number)
        return await self._open(tenant, IMPORT_PART, sealed, place=place)

    async def open_token(
        self, tenant: UUID, token_id: UUID, *, factor: Factor, sealed: bytes
    ) -> bytes:
        """Return the secret of a token in stock."""
        place = token_place(tenant, token_id, factor=factor)
        return await self._open(tenant, STOCK, sealed, place=place)

    async def _open(
        self, tenant: UUID, purpose: str, sealed: bytes, *, place: tuple[str, ...]
    ) -> bytes:
        version = key_version(sealed)
        key = await self.data_keys.version(tenant=tenant, purpose=purpose, version=version)
        return open_seal(key, sealed, place=place)
