"""A data key per tenant and purpose: made when first needed, stored wrapped, open in memory."""

import secrets
import time as clocks
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing import stored_keys as store
from libs.sealing.kept import Ages, Kept
from libs.sealing.providers import KeyProvider
from libs.sealing.seal import KEY_LENGTH, DataKey
from libs.sealing.trouble import KeyDestroyed, KeyRetired

# Keys that belong to no customer are kept inside a wall of their own; new ids are never this one.
DEPLOYMENT = UUID(int=0)

# Stands in the first migration of each service that seals; libs/sealing/tables.py adds to it.
DATA_KEY_TABLE = """
CREATE TABLE data_key (
    tenant_id uuid NOT NULL,
    purpose text NOT NULL,
    version integer NOT NULL,
    wrapped bytea NOT NULL,
    kek_version integer NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, purpose, version)
);
"""

_OPEN = Ages(fresh=timedelta(minutes=5), good=timedelta(minutes=15))
_NEWEST = Ages(fresh=timedelta(seconds=10), good=timedelta(seconds=30))


@dataclass(frozen=True)
class KeyAges:
    """How long an open key is used without the provider's word, and the newest one's number.

    After `newest.good` every process seals with a version that was added: rotation waits for it.
    """

    open: Ages = _OPEN
    newest: Ages = _NEWEST


class DataKeys:
    """The data keys of one service; every call may raise KeyTrouble.

    Keys are read and made in transactions of their own, so ask before you open yours: a key that
    is rolled back with the work that asked for it would already have sealed something.
    """

    def __init__(
        self,
        pool: Pool,
        provider: KeyProvider,
        *,
        ages: KeyAges | None = None,
        time: Callable[[], float] = clocks.monotonic,
    ) -> None:
        ages = ages or KeyAges()
        self._pool = pool
        self._provider = provider
        self._open = Kept(self._unwrapped, ages=ages.open, time=time)
        self._newest = Kept(self._read_newest, ages=ages.newest, time=time)

    async def newest(self, *, tenant: UUID, purpose: str) -> DataKey:
        """Return the key to seal with, making the tenant's first one if there is none."""
        version = self._newest.fresh((tenant, purpose))
        if version is None:
            version = await self._newest.get((tenant, purpose))
        place = (tenant, purpose, version)
        known = self._open.fresh(place)
        return known if known is not None else await self._open.get(place)

    async def version(self, *, tenant: UUID, purpose: str, version: int) -> DataKey:
        """Return one version of a key; KeyDestroyed, KeyRetired where it opens nothing any more."""
        place = (tenant, purpose, version)
        known = self._open.fresh(place)
        return known if known is not None else await self._open.get(place)

    async def also_retired(self, *, tenant: UUID, purpose: str, version: int) -> DataKey:
        """Return one version to seal anew what it has sealed, asking the provider."""
        return await self._stored(tenant, purpose, version, also_retired=True)

    async def close(self) -> None:
        """Forget all keys."""
        await self._open.close()
        await self._newest.close()

    async def _unwrapped(self, place: tuple[UUID, str, int]) -> DataKey:
        return await self._stored(*place, also_retired=False)

    async def _stored(
        self, tenant: UUID, purpose: str, version: int, *, also_retired: bool
    ) -> DataKey:
        async with tenant_transaction(self._pool, tenant) as tx:
            stored = await store.keys_of(tx, tenant, purpose)
        found = next((one for one in stored if one.version == version), None)
        if found is None:
            raise KeyDestroyed(f"no data key {purpose} version {version}")
        if found.retired and not also_retired:
            raise KeyRetired(f"data key {purpose} version {version} is retired")
        # Outside of the transaction, because it may take long.
        key = await self._provider.unwrap(found.wrapped, place=key_place(tenant, purpose, version))
        return DataKey(version=version, key=key)

    async def _read_newest(self, of: tuple[UUID, str]) -> int:
        async with tenant_transaction(self._pool, of[0]) as tx:
            stored = await store.newest_version(tx, *of)
            if stored is None and await store.was_destroyed(tx, *of):
                # Another one would look as if nothing had ever been sealed.
                raise KeyDestroyed(f"all data keys {of[1]} of a tenant are gone")
        return stored if stored is not None else await self._make_first(*of)

    async def _make_first(self, tenant: UUID, purpose: str) -> int:
        key, place = secrets.token_bytes(KEY_LENGTH), key_place(tenant, purpose, 1)
        wrapped = await self._provider.wrap(key, place=place)
        async with tenant_transaction(self._pool, tenant) as tx:
            await store.add_version(tx, tenant, purpose, version=1, wrapped=wrapped)
            return await store.newest_version(tx, tenant, purpose) or 1


def key_place(tenant: UUID, purpose: str, version: int) -> tuple[str, ...]:
    """Return what a wrapped data key is bound to."""
    return ("data key", str(tenant), purpose, str(version))
