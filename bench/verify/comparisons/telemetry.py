"""What traces and metrics cost the service."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import httpx2

from bench.verify.apis import Api, more_apis, service_target
from bench.verify.comparisons.found import Found, Turn, alternate, costs, ratios
from bench.verify.comparisons.stage import Stage
from bench.verify.ground import Ground, listens
from bench.verify.plan import MIDDLE
from bench.verify.target import NotAsExpected, Round, Target
from deploy.local.ports import free_port
from deploy.local.process import ChildProcess, Command
from deploy.local.services import ROOT

# Spans leave a process every five seconds: a round would mostly not see the cost of it.
_EXPORT_EVERY = {"OTEL_BSP_SCHEDULE_DELAY": "500"}
_UNTIL_EXPORTED = 0.8
_SCRAPE_SECONDS = 1.0


async def telemetry(stage: Stage) -> Found:
    """Ask processes without telemetry, with that of a deployment, and with every trace."""
    ground = stage.running.ground
    often = replace(ground, overrides={**ground.overrides, **_EXPORT_EVERY})
    async with _collector(ground) as collector, httpx2.AsyncClient() as http:
        settings = {
            "off": {"traces_sampled": "0"},
            "on": {"traces_endpoint": f"{collector}/on"},
            "all": {"traces_endpoint": f"{collector}/all", "traces_sampled": "1"},
        }
        async with more_apis(often, settings) as apis:
            stage.say("the processes with and without telemetry meet everybody")
            for api in apis.values():
                await stage.meet_all(_target(stage, api))
            turns = {name: _turn(stage, name, api, http) for name, api in apis.items()}
            found = await alternate(stage.plan.rounds, turns)
        _refuse_unlike((await http.get(collector)).json())
    return _figures(stage, found)


@asynccontextmanager
async def _collector(ground: Ground) -> AsyncIterator[str]:
    port, data = free_port(), ground.around.data
    process = ChildProcess(
        Command(
            name="collector",
            arguments=(sys.executable, "-m", "bench.verify.collector", str(port)),
            log=data / "logs" / "collector.log",
            pid_file=data / "run" / "collector.pid",
            environment={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
    )
    process.start()
    try:
        await process.ready(partial(listens, port))
        yield f"http://127.0.0.1:{port}"
    finally:
        await process.stop()


def _target(stage: Stage, api: Api) -> Target:
    async def exported() -> None:
        await stage.drained()
        await asyncio.sleep(_UNTIL_EXPORTED)

    return service_target(stage.running, [api], done=exported)


def _turn(stage: Stage, name: str, api: Api, http: httpx2.AsyncClient) -> Turn:
    target = _target(stage, api)

    async def load() -> Round:
        await stage.fresh_codes()
        return await target.closed(stage.right, at_once=MIDDLE, seconds=stage.plan.seconds)

    async def scraped() -> Round:
        scraping = asyncio.create_task(_scrape(api, http))
        try:
            return await load()
        finally:
            scraping.cancel()

    return load if name == "off" else scraped


async def _scrape(api: Api, http: httpx2.AsyncClient) -> None:
    while True:
        (await http.get(f"{api.internal_url}/metrics")).raise_for_status()
        await asyncio.sleep(_SCRAPE_SECONDS)


def _refuse_unlike(came: Mapping[str, int]) -> None:
    """Raise NotAsExpected where traces did not come as the names of the processes say."""
    if "off" in came or not 0 < came.get("on", 0) < came.get("all", 0):
        raise NotAsExpected(f"not the traces that were to come: {dict(came)} bytes")


def _figures(stage: Stage, found: dict[str, list[Round]]) -> Found:
    cost = {name: costs(rounds, "service") for name, rounds in found.items()}
    rounds = {
        "service": ratios(cost["on"], cost["off"]),
        "service_every_trace": ratios(cost["all"], cost["off"]),
        **{f"{name}_service_us": values for name, values in cost.items()},
    }
    conditions = {
        "connections": MIDDLE,
        "round_seconds": stage.plan.seconds,
        "on": "traces_sampled at its default, spans sent to a collector, /metrics each second",
        "all": "the same with traces_sampled=1",
        "off": "traces_sampled=0, no collector, nobody asks for /metrics; still on, as nothing"
        " switches it off: the draw for each request, the counters, the watch on the event loop",
        "spans_leave_every_ms": _EXPORT_EVERY["OTEL_BSP_SCHEDULE_DELAY"],
    }
    return Found(rounds, conditions)
