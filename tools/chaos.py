"""The long fault runs: `make chaos`; writes docs/reliability.json and docs/reliability.md.

Each run is repeated with fresh data until its share of the time is used up, and its numbers are
added. Ends with 1 where a number that must be 0 is not.
"""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import structlog

from deploy.local.process import silent
from deploy.local.servers import start_servers
from libs.messaging.outbox import announce
from libs.postgres.pool import enter_tenant
from tests.fixtures.servers import RunningServers
from tests.integration.messaging import runs as messaging
from tests.integration.messaging.bench import TENANT, Bench, event_of, until
from tests.integration.verification import cancel_runs, grounds, outage_runs, runs
from tests.integration.verification.conftest import running_world
from tools import chaos_redis as redis_rounds
from tools.chaos_authority import AUTHORITY_ROUNDS
from tools.chaos_ground import Ground
from tools.chaos_keys import rotations
from tools.chaos_report import ROWS, Result, broken, write_report

_LONGEST_ROUND = 300
_IDLE_SECONDS = 60
# Of these the report shows the largest of all rounds, of all others the sum.
_LARGEST = (
    *("attackers", "bound", "evaluated", "over_limit", "median_recovery_ms", "hot"),
    *("most_t_milli", "most_rank_z_milli", "most_effect_milli", "most_connections", "most_tasks"),
    *("p99_before_ms", "p99_during_ms", "p99_alone_ms", "p99_beside_ms"),
)

Round = Callable[[Ground], Awaitable[runs.Numbers]]


async def _order(ground: Ground) -> runs.Numbers:
    async with (
        ground.world() as one,
        running_world(one.stored, ground.running.valkey_url, ground.folder) as two,
    ):
        return await runs.order_run(one, two, people=20, rounds=4)


async def _same_code(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await runs.same_code_run(world, rounds=60, at_once=50)


async def _step_border(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await runs.step_border_run(world, rounds=60, at_once=8)


async def _cache_loss(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await outage_runs.cache_loss_run(
            world, ground.servers.valkey, attackers=32, seconds=15, kill_every=0.3
        )


async def _deaths(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await runs.death_run(world, rounds=3, people=5)


async def _cancels(ground: Ground) -> runs.Numbers:
    async with ground.world() as world:
        return await cancel_runs.cancel_run(world, people=100, requests=1500, replies=20_000)


async def _database_deaths(ground: Ground) -> runs.Numbers:
    # One of its own: to recover all databases of the other runs takes long.
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        async with grounds.own_postgres(Path(place)) as (postgres, running):
            stored = await grounds.new_database(running)
            async with running_world(stored, ground.running.valkey_url, ground.folder) as world:
                return await outage_runs.database_death_run(world, postgres, deaths=4, people=20)


async def _broker(ground: Ground) -> runs.Numbers:
    async with ground.bench() as bench:
        return await messaging.broker_fault_run(bench, ground.servers.kafka, rounds=2, frozen=8)


async def _relay_deaths(ground: Ground) -> runs.Numbers:
    async with ground.bench() as bench:
        numbers = Counter(await messaging.relay_death_run(bench, deaths=8))
    async with ground.bench() as bench:
        numbers.update(await messaging.lease_theft_run(bench, thefts=4))
    return dict(numbers)


async def _commit_order(ground: Ground) -> runs.Numbers:
    async with ground.bench() as bench:
        numbers = Counter(await messaging.commit_order_run(bench, writers=30, rounds=40, keys=8))
    async with ground.bench() as bench:
        numbers.update(await _idle_in_transaction(bench))
    return dict(numbers)


async def _idle_in_transaction(bench: Bench) -> runs.Numbers:
    """Hold one event's transaction open for a minute while others write on."""
    written: list[str] = []
    event, done = event_of("forgotten"), asyncio.Event()
    holder = await asyncpg.connect(bench.database.dsn("app"))
    async with bench.relaying(), asyncio.TaskGroup() as group:
        async with holder.transaction():
            await enter_tenant(holder, TENANT)
            await announce(holder, topic=bench.topic, event=event)
            group.create_task(messaging.write_until(bench, written, done, keys=20))
            await asyncio.sleep(_IDLE_SECONDS)
        done.set()
    await holder.close()
    written.append(str(event.id))
    async with bench.relaying():
        await until(bench.outbox_is_empty)
    return await messaging._log_numbers(bench, written)


async def _zombies(ground: Ground) -> runs.Numbers:
    async with ground.bench() as bench:
        return await messaging.zombie_run(bench, rounds=2, frozen=8)


async def _replay(ground: Ground) -> runs.Numbers:
    async with ground.bench() as bench:
        return await messaging.replay_run(bench, events=1000)


ROUNDS: dict[str, Round] = {
    "R1": _same_code,
    "R2": _step_border,
    "order": _order,
    "model": redis_rounds.model,
    "R3": redis_rounds.flood,
    "R4": _cache_loss,
    "R5": redis_rounds.split,
    "R6": redis_rounds.full,
    "R7": redis_rounds.silent,
    "R8": redis_rounds.cold,
    "R9": redis_rounds.overload,
    "R10": _deaths,
    "R11": _cancels,
    "R12": _database_deaths,
    "R16": _broker,
    "R18": _relay_deaths,
    "R19": _commit_order,
    "R20": _zombies,
    "R21": _replay,
    **AUTHORITY_ROUNDS,
    "R29": rotations,
    "R36": redis_rounds.noisy,
    "S5": redis_rounds.strangers,
}


async def run_all(names: list[str], *, minutes: float) -> dict[str, Result]:
    """Run what is named within about so many minutes; a run takes one round at least."""
    results: dict[str, Result] = {}
    end = time.monotonic() + minutes * 60
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        folder = Path(place)
        servers = await start_servers(folder, silent)
        try:
            running = RunningServers(
                postgres_port=servers.postgres.port,
                postgres_data=str(folder / "postgres"),
                valkey_url=servers.valkey.url(),
                kafka=servers.kafka.bootstrap_servers,
            )
            ground = Ground(servers, running, folder)
            for number, name in enumerate(names):
                share = max(0.0, end - time.monotonic()) / (len(names) - number)
                results[name] = await _run(name, ground, seconds=share)
        finally:
            await servers.stop()
            servers.delete_data()
    return results


async def _run(name: str, ground: Ground, *, seconds: float) -> Result:
    _say(f"{name:6} {ROWS[name].what}")
    begun, rounds, longest = time.monotonic(), 0, 0.0
    numbers: Counter[str] = Counter()
    while not rounds or time.monotonic() - begun + longest < seconds:
        if numbers["failed_rounds"]:
            break
        started = time.monotonic()
        try:
            async with asyncio.timeout(_LONGEST_ROUND):
                _add(numbers, await ROUNDS[name](ground))
        except Exception as error:
            # One run that breaks must not hide what the others found.
            _say("".join(traceback.format_exception(error)))
            numbers["failed_rounds"] += 1
        rounds += 1
        longest = max(longest, time.monotonic() - started)
    result = Result(dict(numbers), rounds, round(time.monotonic() - begun))
    _say(f"       {result.seconds} s, {rounds} rounds: {broken(result) or 'all as promised'}")
    return result


def _add(numbers: Counter[str], more: runs.Numbers) -> None:
    for name, value in more.items():
        if name.startswith(("slowest_", "others_p99_")) or name in _LARGEST:
            numbers[name] = max(numbers[name], value)
        else:
            numbers[name] += value


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Run, report, and end with 1 where a promise was broken."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=10.0, help="about how long in total")
    asked.add_argument("--only", action="append", choices=list(ROUNDS), help="this run only")
    options = asked.parse_args()
    # What is killed on purpose complains a lot; the numbers tell what matters.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    results = asyncio.run(run_all(options.only or list(ROUNDS), minutes=options.minutes))
    write_report(results, Path(os.curdir) / "docs")
    sys.exit(any(broken(result) for result in results.values()))


if __name__ == "__main__":
    main()
