"""A Redis that is full, forgetful, slow, silent, empty or two, in short; `make chaos` has more."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.fault_proxy import fault_proxy
from tests.fixtures.services import MakeDatabase
from tests.integration.verification import grounds, limit_runs, redis_runs
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.processes import url_of
from tests.integration.verification.test_one_acceptance import broken

Record = Callable[[str, object], None]
pytestmark = [
    # Answers are compared whole, and the id of a trace would stand in them.
    pytest.mark.usefixtures("untraced"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Let go of torn connections here, where nobody minds that they were not closed in order."""
    yield
    gc.collect()


@pytest.mark.fault("R3")
@pytest.mark.security("S2")
async def test_a_flood_of_guesses_is_judged_up_to_the_limit_and_answered_alike(
    world: World, tmp_path: Path, record_property: Record
) -> None:
    async with running_world(world.stored, url_of(world), tmp_path) as two:
        numbers = await limit_runs.flood_run(world, two, guesses=1000, at_once=50)

    record_property("numbers", numbers)
    assert numbers["evaluated"] == 10
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R5")
async def test_two_redises_that_both_think_they_are_the_one_open_no_door(
    service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    stored = await service_database("verification")
    async with (
        grounds.own_valkey(tmp_path / "one") as primary,
        grounds.own_valkey(tmp_path / "two") as other,
        running_world(stored, primary.url(), tmp_path) as world,
    ):
        numbers = await limit_runs.split_run(world, primary, other, attackers=12)

    record_property("numbers", numbers)
    assert numbers["evaluated"] >= 10
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R6")
async def test_a_full_or_forgetful_redis_gives_no_guess_for_nothing(
    service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    stored = await service_database("verification")
    async with (
        grounds.own_valkey(tmp_path) as valkey,
        running_world(stored, valkey.url(), tmp_path) as world,
    ):
        numbers = await redis_runs.full_run(world, people=5)

    record_property("numbers", numbers)
    assert numbers["policies_refused"] == 7
    assert numbers["refused_for_memory"] > 0
    assert numbers["slowest_to_leave_ms"] < 5000
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R7")
async def test_a_redis_that_slows_down_and_falls_silent_is_left_in_time(
    service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    stored = await service_database("verification")
    async with (
        grounds.own_valkey(tmp_path) as valkey,
        fault_proxy(valkey.host, valkey.port) as proxy,
    ):
        url = valkey.url().replace(f":{valkey.port}/", f":{proxy.port}/")
        async with running_world(stored, url, tmp_path) as world:
            numbers = await redis_runs.silent_run(world, proxy, seconds=1.5, at_once=24)

    record_property("numbers", numbers)
    assert numbers["asked"] > 50
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R7")
async def test_a_redis_that_drops_every_syn_is_left_in_time(
    service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    stored = await service_database("verification")
    with redis_runs.full_backlog() as port:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 0.5)
        async with running_world(stored, f"redis://127.0.0.1:{port}/0", tmp_path) as world:
            application = await world.application()
            crowd = [await world.person(application.tenant) for _ in range(20)]
            begun = time.monotonic()
            answers = await asyncio.gather(
                *(world.verify(application, person, world.code(person)) for person in crowd)
            )
            took = time.monotonic() - begun

    record_property("numbers", [took])
    assert [answer.status_code for answer in answers] == [200] * 20
    assert took < 2


@pytest.mark.fault("R8")
async def test_an_emptied_redis_is_filled_by_one_load_a_person(
    service_database: MakeDatabase, tmp_path: Path, record_property: Record
) -> None:
    stored = await service_database("verification")
    async with (
        grounds.own_valkey(tmp_path) as valkey,
        running_world(stored, valkey.url(), tmp_path) as world,
    ):
        numbers = await redis_runs.cold_run(world, people=60, each=4)

    record_property("numbers", numbers)
    assert numbers["loads"] >= 120
    assert broken(numbers) == {}, numbers
