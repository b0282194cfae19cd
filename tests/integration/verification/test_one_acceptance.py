"""One code, one acceptance, one event: whoever asks at the same time, and whatever dies."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.verification import runs
from tests.integration.verification.conftest import World, running_world

Record = Callable[[str, object], None]


def broken(numbers: runs.Numbers) -> runs.Numbers:
    """Return the invariants that do not hold."""
    return {name: numbers[name] for name in runs.INVARIANTS if numbers.get(name)}


@pytest.mark.security("S1")
async def test_two_settlers_keep_everybodys_order(
    world: World, tmp_path: Path, record_property: Record
) -> None:
    redis = world.redis.connection_pool.connection_kwargs
    url = f"redis://:{redis['password']}@{redis['host']}:{redis['port']}/0"
    async with running_world(world.stored, url, tmp_path) as other:
        numbers = await runs.order_run(world, other, people=12, rounds=2)

    record_property("numbers", numbers)
    assert numbers["accepted"] >= 12
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R1")
@pytest.mark.security("S1")
async def test_two_processes_accept_a_code_once(world: World, record_property: Record) -> None:
    numbers = await runs.same_code_run(world, rounds=8, at_once=15)

    record_property("numbers", numbers)
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R2")
@pytest.mark.security("S1")
async def test_two_processes_accept_no_earlier_step_again(
    world: World, record_property: Record
) -> None:
    numbers = await runs.step_border_run(world, rounds=6, at_once=4)

    record_property("numbers", numbers)
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R10")
async def test_a_death_between_the_steps_loses_and_doubles_nothing(
    world: World, record_property: Record
) -> None:
    numbers = await runs.death_run(world, rounds=1, people=3)

    record_property("numbers", numbers)
    assert numbers["deaths"] == 4
    assert 2 <= numbers["committed_before_death"] < numbers["asked"]
    assert broken(numbers) == {}, numbers
