"""The long fault runs of PostgreSQL, of clocks, and of processes at their limits."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.postgres import Postgres
from services.verification.domain.clock import TOLERANCE
from tests.integration.verification import (
    clock_runs,
    failover_runs,
    grounds,
    limits_runs,
    power_runs,
    runs,
    stall_runs,
)
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.standby import Pair, pair
from tools.chaos_ground import Ground

_FROZEN_SECONDS = 30


async def _failovers(ground: Ground) -> runs.Numbers:
    async with _paired(ground, quarantine=False) as (world, both):
        return await failover_runs.failover_run(world, both, failovers=4, people=20)


async def _forgetful_failovers(ground: Ground) -> runs.Numbers:
    async with _paired(ground, quarantine=True) as (world, both):
        return await failover_runs.forgetful_failover_run(world, both, people=30)


async def _frozen(ground: Ground) -> runs.Numbers:
    async with _alone(ground) as (world, postgres):
        return await stall_runs.freeze_run(world, postgres, seconds=_FROZEN_SECONDS, people=20)


async def _hot_rows(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await stall_runs.hot_row_run(world, seconds=10, hot=50, people=16)


async def _full_disk(ground: Ground) -> runs.Numbers:
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        async with grounds.own_postgres(Path(place)) as (postgres, running):
            await postgres.stop()
            async with stall_runs.small_wal(postgres) as mounted:
                if not mounted:
                    raise PermissionError("a full disk takes a file system of its own: run as root")
                await postgres.start()
                stored = await grounds.new_database(running)
                url = ground.running.valkey_url
                async with running_world(stored, url, ground.folder) as world:
                    return await stall_runs.full_disk_run(world, postgres, people=20)


async def _clocks(ground: Ground) -> runs.Numbers:
    async with (
        ground.world() as right,
        running_world(
            right.stored, ground.running.valkey_url, ground.folder, clock_tolerance=TOLERANCE
        ) as wrong,
    ):
        return await clock_runs.skew_run(right, wrong, skews=clock_runs.SKEWS * 3, people=10)


async def _leaps(ground: Ground) -> runs.Numbers:
    async with (
        ground.world() as right,
        running_world(
            right.stored, ground.running.valkey_url, ground.folder, clock_tolerance=TOLERANCE
        ) as leaping,
    ):
        return await clock_runs.leap_run(right, leaping, leaps=60, people=5)


async def _limits(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await limits_runs.limits_run(world, people=20)


async def _blocked(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await limits_runs.blocked_run(world)


async def _power_cuts(_: Ground) -> runs.Numbers:
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        folder = Path(place)
        async with (
            grounds.own_valkey(folder) as valkey,
            grounds.own_postgres(folder) as (postgres, running),
        ):
            stored = await grounds.new_database(running)
            async with running_world(stored, valkey.url(), folder) as world:
                return await power_runs.power_cut_run(world, postgres, valkey, rounds=8)


@asynccontextmanager
async def _alone(ground: Ground) -> AsyncIterator[tuple[World, Postgres]]:
    """Run verification on a PostgreSQL of its own: the others' take long to recover."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        async with grounds.own_postgres(Path(place)) as (postgres, running):
            stored = await grounds.new_database(running)
            async with running_world(stored, ground.running.valkey_url, ground.folder) as world:
                yield world, postgres


@asynccontextmanager
async def _paired(ground: Ground, *, quarantine: bool) -> AsyncIterator[tuple[World, Pair]]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        async with pair(Path(place)) as both:
            stored = await grounds.new_database(both.place)
            url = ground.running.valkey_url
            async with running_world(stored, url, ground.folder, quarantine=quarantine) as world:
                yield world, both


AUTHORITY_ROUNDS: dict[str, Callable[[Ground], Awaitable[runs.Numbers]]] = {
    "R13": _failovers,
    "R14": _forgetful_failovers,
    "R15": _frozen,
    "R15-row": _hot_rows,
    "R15-disk": _full_disk,
    "R27": _clocks,
    "R27-leaps": _leaps,
    "R32": _limits,
    "R32-blocked": _blocked,
    "R40": _power_cuts,
}
