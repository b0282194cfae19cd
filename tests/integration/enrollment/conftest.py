from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from deploy.roles import role_statements, roles_of
from libs.postgres.migrate import migrate
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import ROOT, ServiceDatabase
from tests.integration.enrollment.world import World, running_world

SERVICE = "enrollment"


@pytest.fixture(scope="session")
async def stored(servers: RunningServers) -> AsyncIterator[ServiceDatabase]:
    """One database for all tests: each has tenants of its own."""
    name = f"e{uuid4().hex[:12]}"
    admin = await asyncpg.connect(servers.dsn())
    await admin.execute(f"CREATE DATABASE {name}")
    inside = await asyncpg.connect(servers.dsn(name))
    await inside.execute("SELECT pg_advisory_lock(hashtext('roles'))")
    await inside.execute(role_statements(SERVICE, dict.fromkeys(roles_of(SERVICE), "watchword")))
    await inside.close()
    made = ServiceDatabase(servers, name, SERVICE)
    folder = ROOT / "services" / SERVICE / "migrations"
    migrate(made.dsn("enrollment_owner"), schema=SERVICE, folder=folder)
    yield made
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def world(stored: ServiceDatabase) -> AsyncIterator[World]:
    async with running_world(stored) as made:
        yield made
