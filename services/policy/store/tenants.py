"""Tenants, and the way from an application's id to its tenant."""

from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection, Pool


async def add_tenant(tx: Connection, tenant: UUID, *, name: str, now: datetime) -> None:
    await tx.execute(
        "INSERT INTO tenant (tenant_id, name, created) VALUES ($1, $2, $3)", tenant, name, now
    )


async def lock_tenant(tx: Connection, tenant: UUID) -> bool:
    """Lock what counts for the whole tenant, such as its last key; False where there is none."""
    query = "SELECT true FROM tenant WHERE tenant_id = $1 FOR UPDATE"
    return bool(await tx.fetchval(query, tenant))


async def tenant_exists(tx: Connection, tenant: UUID) -> bool:
    return bool(await tx.fetchval("SELECT true FROM tenant WHERE tenant_id = $1", tenant))


async def tenant_of_application(pool: Pool, application_id: UUID) -> UUID | None:
    """Return whose application this is; the one look across the tenants' walls."""
    tenant: UUID | None = await pool.fetchval("SELECT tenant_of_application($1)", application_id)
    return tenant
