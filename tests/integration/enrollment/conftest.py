from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from libs.postgres.migrate import migrate
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import ROOT, ServiceDatabase, drop_database, make_database
from tests.integration.enrollment.world import World, running_world

SERVICE = "enrollment"


@pytest.fixture(scope="session")
async def stored(servers: RunningServers) -> AsyncIterator[ServiceDatabase]:
    """One database for all tests: each has tenants of its own."""
    name = f"e{uuid4().hex[:12]}"
    await make_database(servers, name, [SERVICE])
    made = ServiceDatabase(servers, name, SERVICE)
    folder = ROOT / "services" / SERVICE / "migrations"
    migrate(made.dsn("enrollment_owner"), schema=SERVICE, folder=folder)
    yield made
    await drop_database(servers, name)


@pytest.fixture
async def world(stored: ServiceDatabase) -> AsyncIterator[World]:
    async with running_world(stored) as made:
        yield made
