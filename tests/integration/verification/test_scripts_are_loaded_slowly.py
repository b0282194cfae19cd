"""A Redis that was restarted, 100 ms there and back: how long does the first guess wait?"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.services import MakeDatabase
from tests.integration.verification.test_slow_and_silent import cut_off_redis, no_leftovers

Record = Callable[[str, object], None]
__all__ = ["no_leftovers"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.fault("R7")
async def test_a_redis_that_forgot_its_scripts_holds_nobody_up(
    service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    async with cut_off_redis(service_database, tmp_path) as (world, proxy):
        application = await world.application()
        person = await world.person(application.tenant)
        assert (await world.verify(application, person, world.wrong_code(person))).status_code
        await asyncio.sleep(0.1)
        # Both of its connections are open, so that only round trips are counted.
        await world.redis.ping()
        await world.redis.script_flush()
        proxy.delay = 0.05

        begun = time.monotonic()
        answer = await world.verify(application, person, world.code(person))
        took = time.monotonic() - begun

        record_property("numbers", took)
        assert answer.status_code == 200
        # What services/verification/README.md says of a slow Valkey.
        assert took < 0.6
