from collections.abc import AsyncIterator

import pytest

from tests.fixtures.services import MakeDatabase, ServiceDatabase, TestClock
from tests.integration.notification.smtp_simulator import SmtpSimulator
from tests.integration.notification.world import (
    PolicySimulator,
    World,
    running_world,
    settings_for,
)


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpSimulator]:
    simulator = SmtpSimulator()
    async with simulator.listening():
        yield simulator


@pytest.fixture
async def stored(service_database: MakeDatabase) -> ServiceDatabase:
    return await service_database("notification")


@pytest.fixture
async def world(stored: ServiceDatabase, smtp: SmtpSimulator) -> AsyncIterator[World]:
    settings = settings_for(stored, smtp)
    async with running_world(stored, smtp, PolicySimulator(), TestClock(), settings) as made:
        yield made
