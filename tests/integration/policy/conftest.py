from collections.abc import AsyncIterator

import pytest

from tests.fixtures.servers import RunningServers
from tests.integration.policy.bench import Bench, Tenant, open_bench


@pytest.fixture(scope="session")
async def bench(
    servers: RunningServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    async with open_bench(servers, tmp_path_factory.mktemp("policy")) as opened:
        yield opened


@pytest.fixture
async def tenant(bench: Bench) -> Tenant:
    return await bench.new_tenant()
