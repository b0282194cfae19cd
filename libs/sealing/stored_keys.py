"""The data keys in PostgreSQL, wrapped; inside a tenant's wall."""

from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Connection
from libs.sealing.providers import Wrapped


@dataclass(frozen=True)
class StoredKey:
    """One version of a tenant's key for a purpose, as it is stored."""

    version: int
    wrapped: Wrapped
    retired: bool


async def keys_of(tx: Connection, tenant: UUID, purpose: str) -> list[StoredKey]:
    """Return all versions that are there, in order."""
    rows = await tx.fetch(
        "SELECT version, provider, kek_version, wrapped, retired IS NOT NULL AS retired"
        " FROM data_key WHERE tenant_id = $1 AND purpose = $2 ORDER BY version",
        tenant,
        purpose,
    )
    return [
        StoredKey(
            row["version"],
            Wrapped(row["provider"], row["kek_version"], row["wrapped"]),
            row["retired"],
        )
        for row in rows
    ]


async def newest_version(tx: Connection, tenant: UUID, purpose: str) -> int | None:
    """Return the version to seal with."""
    query = "SELECT max(version) FROM data_key WHERE tenant_id = $1 AND purpose = $2"
    version: int | None = await tx.fetchval(query, tenant, purpose)
    return version


async def was_destroyed(tx: Connection, tenant: UUID, purpose: str) -> bool:
    """Tell whether there were keys once."""
    query = "SELECT EXISTS (SELECT FROM data_key_destroyed WHERE tenant_id = $1 AND purpose = $2)"
    return bool(await tx.fetchval(query, tenant, purpose))


async def add_version(
    tx: Connection, tenant: UUID, purpose: str, *, version: int, wrapped: Wrapped
) -> bool:
    """Add a version, unless somebody else did; of two at once the second waits for the first."""
    added = await tx.fetchval(
        "INSERT INTO data_key (tenant_id, purpose, version, wrapped, kek_version, provider)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING true",
        tenant,
        purpose,
        version,
        wrapped.value,
        wrapped.version,
        wrapped.provider,
    )
    return bool(added)


async def wrap_again(
    tx: Connection, tenant: UUID, purpose: str, *, version: int, old: Wrapped, new: Wrapped
) -> None:
    """Put a key that was wrapped anew in the place of what it was, if it still is that."""
    await tx.execute(
        "UPDATE data_key SET wrapped = $5, kek_version = $6, provider = $7"
        " WHERE tenant_id = $1 AND purpose = $2 AND version = $3 AND wrapped = $4",
        tenant,
        purpose,
        version,
        old.value,
        new.value,
        new.version,
        new.provider,
    )
