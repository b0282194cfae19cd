"""Connections, and transactions that see one tenant's rows only."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import UUID

import asyncpg

from libs.postgres.hosts import connect, each_server, takes_no_writes

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection: TypeAlias = asyncpg.Connection
    Pool: TypeAlias = asyncpg.Pool

# A transaction that is forgotten would hold row locks and stop vacuum.
_IDLE_IN_TRANSACTION = timedelta(seconds=30)


# Somebody waits for the answer: for a free connection, and for each statement. Where a statement
# was given up, as long again may pass until the server says that it stopped.
_PATIENCE = timedelta(seconds=2)


async def open_app_pool(dsn: str, *, name: str) -> Pool:
    """Open the pool of requests and handlers, where nothing may take long."""
    return await open_pool(dsn, name=name, command_timeout=_PATIENCE)


async def open_pool(
    dsn: str,
    *,
    name: str,
    largest: int = 8,
    command_timeout: timedelta = timedelta(seconds=10),
) -> Pool:
    """Open a pool; `name` shows in pg_stat_activity. JSON columns come and go as Python values."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=largest,
        command_timeout=command_timeout.total_seconds(),
        timeout=5,
        init=_prepare,
        # Its type wants a DSN that may be missing.
        connect=cast("Any", connect),
        setup=_refuse_demoted if len(each_server(dsn)) > 1 else None,
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
    """Open a transaction in which row-level security shows this tenant's rows only.

    Raises TimeoutError where no connection gets free in time.
    """
    # All connections may be stuck.
    async with asyncio.timeout(_PATIENCE.total_seconds()):
        connection = await pool.acquire()
    try:
        async with connection.transaction():
            await enter_tenant(connection, tenant)
            yield connection
    finally:
        await pool.release(connection)


async def enter_tenant(connection: Connection, tenant: UUID) -> None:
    """Let the running transaction see this tenant's rows, until it ends."""
    await connection.execute("SELECT set_config('app.tenant', $1, true)", str(tenant))


async def _refuse_demoted(connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    # The pool throws the connection away, and the next one leads to the server that was promoted.
    if takes_no_writes(connection):
        raise asyncpg.InterfaceError("the server takes no writes any more")


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )
