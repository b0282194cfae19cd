"""Tenants, and the way from an application's id to its tenant."""

from datetime import datetime
from uuid import UUID

import asyncpg

from libs.postgres.pool import Connection, Pool
from services.policy.domain.owners import Settings


async def add_tenant(tx: Connection, tenant: UUID, *, name: str, now: datetime) -> None:
    await tx.execute(
        "INSERT INTO tenant (tenant_id, name, created) VALUES ($1, $2, $3)", tenant, name, now
    )


async def lock_tenant(tx: Connection, tenant: UUID) -> Settings:
    """Lock what counts for the whole tenant, such as its last key; returns what it has chosen.

    Whoever only names the tenant, as each new subject does, is not kept waiting.
    """
    query = "SELECT four_eyes, settings_version FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE"
    return _settings(await tx.fetchrow(query, tenant))


async def load_settings(tx: Connection, tenant: UUID) -> Settings:
    query = "SELECT four_eyes, settings_version FROM tenant WHERE tenant_id = $1"
    return _settings(await tx.fetchrow(query, tenant))


async def save_settings(tx: Connection, tenant: UUID, settings: Settings) -> None:
    """Save what a locked tenant has chosen."""
    await tx.execute(
        "UPDATE tenant SET four_eyes = $2, settings_version = $3 WHERE tenant_id = $1",
        tenant,
        settings.four_eyes,
        settings.version,
    )


async def tenant_exists(tx: Connection, tenant: UUID) -> bool:
    return bool(await tx.fetchval("SELECT true FROM tenant WHERE tenant_id = $1", tenant))


async def tenant_of_application(pool: Pool, application_id: UUID) -> UUID | None:
    """Return whose application this is; the one look across the tenants' walls."""
    tenant: UUID | None = await pool.fetchval("SELECT tenant_of_application($1)", application_id)
    return tenant


def _settings(row: asyncpg.Record | None) -> Settings:
    if row is None:
        raise LookupError("the tenant of a key is there")
    return Settings(row["four_eyes"], version=row["settings_version"])
