from collections.abc import AsyncIterator

import pytest

from libs.messaging.kafka import KafkaSettings
from tests.fixtures.servers import Database
from tests.integration.messaging.bench import Bench, open_bench


@pytest.fixture
async def bench(database: Database, kafka: str) -> AsyncIterator[Bench]:
    async with open_bench(database, KafkaSettings(kafka)) as made:
        yield made
