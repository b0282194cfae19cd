"""The whole system as processes of its own, driven through its front door as applications do."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.process import silent
from deploy.local.system import System, start_system
from tests.e2e.people import Tenancy, new_tenancy


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    running = await start_system(tmp_path_factory.mktemp("system"), silent)
    try:
        yield running
    finally:
        await running.stop()
        await asyncio.to_thread(running.servers.delete_data)


@pytest.fixture
async def tenancy(system: System) -> AsyncIterator[Tenancy]:
    async with new_tenancy(system) as made:
        yield made
