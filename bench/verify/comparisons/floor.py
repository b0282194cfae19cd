"""The least that a verification can be (bench/verify/floor.py), beside the no-op."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from bench.verify import asks
from bench.verify.apis import noop_target
from bench.verify.comparisons.found import Found, Turn, alternate, costs, ratios
from bench.verify.comparisons.stage import Stage
from bench.verify.costs import Meter, on_cores, own_core
from bench.verify.ground import listens
from bench.verify.people import Turns
from bench.verify.plan import AT_ONCE
from bench.verify.target import Round, Target
from deploy.local.ports import free_port
from deploy.local.process import ChildProcess, Command
from deploy.local.services import ROOT

_PARTS = ("service", "postgres", "valkey")


async def floor(stage: Stage) -> Found:
    """Ask the least program for the same codes with so many connections."""
    turns = Turns(stage.people.right, period=stage.people.period)
    nothing, noop = asks.same_each_time(stage.writer), noop_target(stage.running)
    rounds: dict[str, list[float]] = {}
    async with _running(stage) as target:
        await target.closed(stage.taking(turns.take_new), at_once=128, seconds=60)
        for at_once in AT_ONCE:
            found = await alternate(
                stage.plan.rounds,
                {
                    "noop": partial(
                        noop.closed, nothing, at_once=at_once, seconds=stage.plan.seconds / 2
                    ),
                    "floor": _turn(stage, target, turns, at_once),
                },
            )
            cost = costs(found["noop"], "noop")
            service = costs(found["floor"], "service")
            rounds[f"service_c{at_once}"] = ratios(service, cost)
            rounds[f"system_c{at_once}"] = ratios(costs(found["floor"], *_PARTS), cost)
            rounds[f"service_c{at_once}_us"] = service
    left_out = "callers, tenants, limits, Idempotency-Key, order, policy, relay, telemetry"
    return Found(rounds, {"round_seconds": stage.plan.seconds, "without": left_out})


def _turn(stage: Stage, target: Target, turns: Turns, at_once: int) -> Turn:
    async def load() -> Round:
        await stage.fresh(turns)
        right = stage.taking(turns.take)
        return await target.closed(right, at_once=at_once, seconds=stage.plan.seconds)

    return load


@asynccontextmanager
async def _running(stage: Stage) -> AsyncIterator[Target]:
    ground, people, port = stage.running.ground, stage.people, free_port()
    data, servers = ground.around.data, ground.servers
    given = {
        "FLOOR_DSN": ground.superuser_dsn,
        "FLOOR_REDIS": servers.valkey.url(),
        "FLOOR_SEED": people.seed.hex(),
        "FLOOR_COUNT": str(people.count),
        "FLOOR_PERIOD": str(people.period),
    }
    process = ChildProcess(
        Command(
            name="floor",
            arguments=(sys.executable, "-m", "bench.verify.floor", str(port)),
            log=data / "logs" / "floor.log",
            pid_file=data / "run" / "floor.pid",
            environment={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **given},
        )
    )
    with on_cores(frozenset({own_core()})):
        process.start()
    try:
        await process.ready(partial(listens, port))
        meter = Meter(
            {
                "service": [process.pid],
                "postgres": [servers.postgres.pid],
                "valkey": [servers.valkey.pid],
            }
        )
        yield Target([port], meter, process.command.log)
    finally:
        await process.stop()
