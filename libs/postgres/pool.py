"""Connections, and transactions that see one tenant's rows only."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection: TypeAlias = asyncpg.Connection
    Pool: TypeAlias = asyncpg.Pool

# A transaction that is forgotten would hold row locks and stop vacuum.
_IDLE_IN_TRANSACTION = timedelta(seconds=30)


async def open_pool(
    dsn: str, *, name: str, largest: int = 8, command_timeout: timedelta = timedelta(seconds=10)
) -> Pool:
    """Open a pool; `name` shows in pg_stat_activity. JSON columns come and go as Python values."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=largest,
        command_timeout=command_timeout.total_seconds(),
        timeout=5,
        init=_prepare,
        server_settings={
            "application_name": name,
            "jit": "off",
            "idle_in_transaction_session_timeout": str(
                int(_IDLE_IN_TRANSACTION.total_seconds() * 1000)
            ),
        },
    )


@asynccontextmanager
async def tenant_transaction(pool: Pool, tenant: UUID) -> AsyncIterator[Connection]:
    """Open a transaction in which row-level security shows this tenant's rows only."""
    async with pool.acquire() as connection, connection.transaction():
        await enter_tenant(connection, tenant)
        yield connection


async def enter_tenant(connection: Connection, tenant: UUID) -> None:
    """Let the running transaction see this tenant's rows, until it ends."""
    await connection.execute("SELECT set_config('app.tenant', $1, true)", str(tenant))


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )
