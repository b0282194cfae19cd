"""The long fault runs about Redis, overload, and what strangers can tell."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from deploy.local.valkey import Valkey
from tests.fixtures.fault_proxy import fault_proxy
from tests.integration.verification import (
    grounds,
    limit_runs,
    overload_runs,
    redis_runs,
    stranger_runs,
)
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.model_runs import model_run
from tests.integration.verification.runs import Numbers
from tools.chaos_ground import Ground


async def flood(ground: Ground) -> Numbers:
    """R3."""
    async with (
        ground.world() as one,
        running_world(one.stored, ground.running.valkey_url, ground.folder) as two,
    ):
        return await limit_runs.flood_run(one, two, guesses=10_000, at_once=80)


async def split(ground: Ground) -> Numbers:
    """R5."""
    with _folder() as folder:
        async with (
            grounds.own_valkey(folder / "other") as other,
            _own_redis(ground, folder) as (world, valkey),
        ):
            return await limit_runs.split_run(world, valkey, other, attackers=40)


async def full(ground: Ground) -> Numbers:
    """R6."""
    with _folder() as folder:
        async with _own_redis(ground, folder) as (world, _):
            return await redis_runs.full_run(world, people=40)


async def silent(ground: Ground) -> Numbers:
    """R7."""
    with _folder() as folder:
        async with (
            grounds.own_valkey(folder) as valkey,
            fault_proxy(valkey.host, valkey.port) as proxy,
        ):
            url = valkey.url().replace(f":{valkey.port}/", f":{proxy.port}/")
            stored = await grounds.new_database(ground.running)
            async with running_world(stored, url, folder) as world:
                return await redis_runs.silent_run(world, proxy, seconds=15, at_once=100)


async def cold(ground: Ground) -> Numbers:
    """R8."""
    with _folder() as folder:
        async with _own_redis(ground, folder) as (world, _):
            return await redis_runs.cold_run(world, people=1500, each=2)


async def overload(ground: Ground) -> Numbers:
    """R9."""
    async with ground.world() as world:
        return await overload_runs.overload_run(world, people=200, seconds=60, times=3)


async def noisy(ground: Ground) -> Numbers:
    """R36."""
    async with ground.world() as world:
        return await overload_runs.noisy_run(world, people=200, seconds=20, times=50)


async def strangers(ground: Ground) -> Numbers:
    """S5; the numbers that begin with `known` are of who may know the reason."""
    stored = await grounds.new_database(ground.running)
    url = ground.running.valkey_url
    async with stranger_runs.boundless_world(stored, url, ground.folder) as world:
        # Six kinds, so 20,000 samples or a little less; 4.5 is the usual limit of such tests.
        blind, known = await stranger_runs.strangers_run(world, samples=3300, at_once=4, limit=4.5)
    return blind | {f"known_{name}": value for name, value in known.items()}


async def model(ground: Ground) -> Numbers:
    """S1."""
    with _folder() as folder:
        stored = await grounds.new_database(ground.running)
        return await model_run(stored, folder, examples=100, steps=30)


@asynccontextmanager
async def _own_redis(ground: Ground, folder: Path) -> AsyncIterator[tuple[World, Valkey]]:
    stored = await grounds.new_database(ground.running)
    async with (
        grounds.own_valkey(folder / "one") as valkey,
        running_world(stored, valkey.url(), folder) as world,
    ):
        yield world, valkey


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        yield Path(place)
