"""One answer for strangers: refusals look alike and take alike (S5)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.integration.verification.runs import Numbers
from tests.integration.verification.stranger_runs import boundless_world, strangers_run
from tests.integration.verification.test_one_acceptance import broken

# 4.5 is what such tests take for a leak of a quiet machine; fifteen pairs on a busy one vary more.
_LIMIT = 6.0


# Answers are compared whole, and the id of a trace would stand in them.
pytestmark = pytest.mark.usefixtures("untraced")


@pytest.mark.security("S5")
async def test_refusals_look_alike_and_take_alike(
    servers: RunningServers,
    service_database: MakeDatabase,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    stored = await service_database("verification")
    async with boundless_world(stored, servers.valkey_url, tmp_path) as world:
        # On a busy machine one of fifteen pairs may differ once; a leak does every time.
        for _ in range(3):
            blind, known = await strangers_run(world, samples=200, at_once=8, limit=_LIMIT)
            if not (broken(blind) or tells(blind)):
                break

    record_property("numbers", [blind, known])
    assert broken(blind) == {}, blind
    assert not tells(blind), blind
    # Who may know the reason hears it at once: that is what the grid hides from strangers.
    assert tells(known), known


def tells(numbers: Numbers) -> bool:
    # By rank too: one long pause moves a mean by more than the reason does.
    return max(numbers["most_t_milli"], numbers["most_rank_z_milli"]) > 1000 * _LIMIT
