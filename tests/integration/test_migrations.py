"""Every service's schema: made once whoever comes at the same time, and closed to the others."""

import asyncio
import sys
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from deploy.roles import SERVICES, roles_of
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import PASSWORD, ROOT, drop_database, make_database


@pytest.fixture
async def empty(servers: RunningServers) -> AsyncIterator[str]:
    """A database with every service's roles and empty schemas."""
    name = f"m{uuid4().hex[:12]}"
    await make_database(servers, name, SERVICES)
    yield name
    await drop_database(servers, name)


PROGRAM = """
import sys
from pathlib import Path
from libs.postgres.migrate import migrate
migrate(sys.argv[1], schema=sys.argv[2], folder=Path(sys.argv[3]))
"""


async def run(servers: RunningServers, database: str, service: str) -> None:
    """Migrate in a process of its own, as each container does."""
    dsn = servers.dsn(database, f"{service}_owner", PASSWORD)
    folder = str(ROOT / "services" / service / "migrations")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, dsn, service, folder),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    assert process.returncode == 0, error.decode()


@pytest.mark.parametrize("service", SERVICES)
async def test_several_migrators_at_once_make_one_schema(
    servers: RunningServers, empty: str, service: str
) -> None:
    await asyncio.gather(*(run(servers, empty, service) for _ in range(3)))

    await run(servers, empty, service)

    owner = await asyncpg.connect(servers.dsn(empty, f"{service}_owner", PASSWORD))
    versions = await owner.fetch("SELECT version_num FROM alembic_version")
    await owner.close()
    assert len(versions) == 1


@pytest.mark.security("S6")
async def test_no_service_reads_another_ones_tables_and_every_tenant_has_a_wall(
    servers: RunningServers, empty: str
) -> None:
    for service in SERVICES:
        await run(servers, empty, service)
    admin = await asyncpg.connect(servers.dsn(empty))
    tables = await admin.fetch(
        "SELECT c.oid::regclass::text AS name, n.nspname AS service, c.relrowsecurity AS walled,"
        " EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid"
        " AND a.attname = 'tenant_id') AS has_tenant"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY($1)",
        list(SERVICES),
    )

    for service in SERVICES:
        for role in roles_of(service)[1:]:
            readable = [
                table["name"]
                for table in tables
                if table["service"] != service
                and await admin.fetchval(
                    "SELECT has_table_privilege($1, $2, 'SELECT')", role, table["name"]
                )
            ]
            assert readable == [], f"{role} reads another service's tables"
    await admin.close()
    unwalled = [table["name"] for table in tables if table["has_tenant"] and not table["walled"]]
    assert unwalled == []
    assert len(tables) > 30


@pytest.mark.security("S6")
async def test_an_application_role_sees_nothing_without_a_tenant(
    servers: RunningServers, empty: str
) -> None:
    tenant = uuid4()
    for service in SERVICES:
        await run(servers, empty, service)
        admin = await asyncpg.connect(servers.dsn(empty))
        await admin.execute(
            f"INSERT INTO {service}.inbox (consumer, message, tenant_id) VALUES ('a', 'b', $1)",
            tenant,
        )
        await admin.close()
        app = await asyncpg.connect(servers.dsn(empty, f"{service}_app", PASSWORD))
        without = await app.fetchval("SELECT count(*) FROM inbox")
        async with app.transaction():
            await app.execute("SELECT set_config('app.tenant', $1, true)", str(tenant))
            within = await app.fetchval("SELECT count(*) FROM inbox")
        after = await app.fetchval("SELECT count(*) FROM inbox")
        await app.close()

        assert (without, within, after) == (0, 1, 0)
