"""Lines of an import that wait: sealed under a key of their own purpose."""

from dataclasses import dataclass
from uuid import UUID

from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import DataKey, key_version, open_seal, seal

PART = "import"


@dataclass(frozen=True)
class PartSeals:
    """Seals and opens parts; ask for the key before opening a transaction."""

    data_keys: DataKeys

    async def key(self, tenant: UUID) -> DataKey:
        """Return the key to seal with."""
        return await self.data_keys.newest(tenant=tenant, purpose=PART)

    async def open(self, tenant: UUID, import_id: UUID, *, number: int, sealed: bytes) -> bytes:
        """Return the lines of a part; raises SealBroken where it was tampered with."""
        version = key_version(sealed)
        key = await self.data_keys.version(tenant=tenant, purpose=PART, version=version)
        return open_seal(key, sealed, place=part_place(tenant, import_id, number))


def seal_part(key: DataKey, content: bytes, *, tenant: UUID, import_id: UUID, number: int) -> bytes:
    """Seal the lines of a part."""
    return seal(key, content, place=part_place(tenant, import_id, number))


def part_place(tenant: UUID, import_id: UUID, number: int) -> tuple[str, ...]:
    """Return where the lines of a part belong."""
    return (PART, str(tenant), str(import_id), str(number))
