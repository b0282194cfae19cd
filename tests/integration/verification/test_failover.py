"""Standbys that are promoted, in their short form; `make chaos` has the long one."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.servers import RunningServers
from tests.integration.verification import failover_runs, grounds
from tests.integration.verification.conftest import running_world
from tests.integration.verification.standby import pair
from tests.integration.verification.test_one_acceptance import broken

Record = Callable[[str, object], None]
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Let go of torn connections here, where nobody minds that they were not closed in order."""
    yield
    gc.collect()


@pytest.mark.fault("R14")
async def test_what_a_promoted_standby_forgot_is_not_accepted_again(
    servers: RunningServers, tmp_path: Path, record_property: Record
) -> None:
    async with pair(tmp_path) as both:
        stored = await grounds.new_database(both.place)
        async with running_world(stored, servers.valkey_url, tmp_path) as world:
            numbers = await failover_runs.forgetful_failover_run(world, both, people=4)

    record_property("numbers", numbers)
    assert numbers["forgotten"] == 3 * 4
    assert numbers["shown_again"] > 20
    assert numbers["delayed"] == 4
    assert numbers["slowest_delay_s"] <= 90
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R13")
async def test_a_synchronous_standby_takes_over_without_a_restart_of_ours(
    servers: RunningServers, tmp_path: Path, record_property: Record
) -> None:
    async with pair(tmp_path) as both:
        stored = await grounds.new_database(both.place)
        async with running_world(stored, servers.valkey_url, tmp_path, quarantine=False) as world:
            numbers = await failover_runs.failover_run(world, both, failovers=2, people=8)

    record_property("numbers", numbers)
    assert numbers["answers_503"] > 0
    assert broken(numbers) == {}, numbers
