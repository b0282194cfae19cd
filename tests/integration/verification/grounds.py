"""Servers of one run alone, to be killed, emptied and cut off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg

from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from deploy.roles import role_statements, roles_of
from libs.postgres.migrate import migrate
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import ROOT, ServiceDatabase

SERVICE = "verification"


@asynccontextmanager
async def own_valkey(folder: Path) -> AsyncIterator[Valkey]:
    valkey = Valkey(folder / "valkey", port=free_port())
    await valkey.start()
    try:
        yield valkey
    finally:
        await valkey.stop()
        valkey.delete_data()


@asynccontextmanager
async def own_postgres(folder: Path) -> AsyncIterator[tuple[Postgres, RunningServers]]:
    """Start a PostgreSQL; what is returned beside it makes DSNs as for the shared servers."""
    data = folder / "postgres"
    postgres = Postgres(data, port=free_port())
    await postgres.start()
    try:
        yield postgres, RunningServers(postgres.port, str(data), valkey_url="", kafka="")
    finally:
        await postgres.stop()
        postgres.delete_data()


async def new_database(servers: RunningServers) -> ServiceDatabase:
    """Make a database with verification's schema; it goes with its server."""
    name = f"s{uuid4().hex[:12]}"
    await _execute(servers.dsn(), f"CREATE DATABASE {name}")
    await _execute(
        servers.dsn(name), role_statements(SERVICE, dict.fromkeys(roles_of(SERVICE), "watchword"))
    )
    stored = ServiceDatabase(servers, name, SERVICE)
    folder = ROOT / "services" / SERVICE / "migrations"
    migrate(stored.dsn(f"{SERVICE}_owner"), schema=SERVICE, folder=folder)
    return stored


async def _execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
