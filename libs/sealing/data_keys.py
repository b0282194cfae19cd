"""A data key per tenant and purpose: made when first needed, stored wrapped, open in memory."""

import secrets
from uuid import UUID

from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.sealing.key_file import KeyFile
from libs.sealing.seal import KEY_LENGTH, DataKey

# Keys that belong to no customer are kept inside a wall of their own; new ids are never this one.
DEPLOYMENT = UUID(int=0)

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


class DataKeys:
    """The data keys of one service.

    Keys are read and made in transactions of their own, so ask before you open yours: a key that
    is rolled back with the work that asked for it would already have sealed something.
    """

    def __init__(self, pool: Pool, key_file: KeyFile) -> None:
        self._pool = pool
        self._key_file = key_file
        self._open: dict[tuple[UUID, str, int], DataKey] = {}
        self._newest: dict[tuple[UUID, str], int] = {}

    async def newest(self, *, tenant: UUID, purpose: str) -> DataKey:
        """Return the key to seal with, making the tenant's first one if there is none."""
        if (tenant, purpose) not in self._newest:
            async with tenant_transaction(self._pool, tenant) as tx:
                version = await self._newest_version(tx, tenant=tenant, purpose=purpose)
            self._newest[tenant, purpose] = version
        version = self._newest[tenant, purpose]
        known = self._open.get((tenant, purpose, version))
        if known is not None:
            return known
        return await self.version(tenant=tenant, purpose=purpose, version=version)

    async def version(self, *, tenant: UUID, purpose: str, version: int) -> DataKey:
        """Return one version of a key; raises LookupError where there is none."""
        known = self._open.get((tenant, purpose, version))
        if known is not None:
            return known
        async with tenant_transaction(self._pool, tenant) as tx:
            wrapped = await tx.fetchval(
                "SELECT wrapped FROM data_key"
                " WHERE tenant_id = $1 AND purpose = $2 AND version = $3",
                tenant,
                purpose,
                version,
            )
        if wrapped is None:
            raise LookupError(f"no data key {purpose} version {version}")
        place = _place(tenant, purpose, version)
        key = DataKey(version=version, key=self._key_file.unwrap(wrapped, place=place))
        self._open[tenant, purpose, version] = key
        return key

    async def _newest_version(self, tx: Connection, *, tenant: UUID, purpose: str) -> int:
        query = "SELECT max(version) FROM data_key WHERE tenant_id = $1 AND purpose = $2"
        stored: int | None = await tx.fetchval(query, tenant, purpose)
        if stored is not None:
            return stored
        place = _place(tenant, purpose, 1)
        # Two first uses at once: the second waits here for the first and then takes its key.
        await tx.execute(
            "INSERT INTO data_key (tenant_id, purpose, version, wrapped, kek_version)"
            " VALUES ($1, $2, 1, $3, $4) ON CONFLICT DO NOTHING",
            tenant,
            purpose,
            self._key_file.wrap(secrets.token_bytes(KEY_LENGTH), place=place),
            self._key_file.version,
        )
        return 1


def _place(tenant: UUID, purpose: str, version: int) -> tuple[str, ...]:
    return ("data key", str(tenant), purpose, str(version))
