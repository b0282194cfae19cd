"""One round of load on one server, with what it cost each process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.verify.asks import Asks
from bench.verify.costs import Meter, used
from bench.verify.ground import Running
from bench.verify.load import Connection, Tally, closed_load, connect, open_load
from deploy.local.process import log_tail
from libs.postgres import pool

_OUTBOX_IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM verification.outbox)"
_LONGEST_DRAIN = 60.0
_LOOK_SECONDS = 0.05
SYSTEM = ("service", "postgres", "valkey", "relay")
Load = Callable[[Sequence[Connection]], Awaitable[Tally]]


class NotAsExpected(Exception):  # noqa: N818
    """Too many answers were not the right one: the figures would be of something else."""


@dataclass(frozen=True)
class Round:
    """What came back, and the microseconds that each process used for one answer."""

    tally: Tally
    cost: Mapping[str, float]


class Rounds:
    """Loads the service or a baseline for a while, and reads the meters before and after."""

    def __init__(self, running: Running, watcher: pool.Connection) -> None:
        servers = running.ground.servers
        self._running = running
        self._watcher = watcher
        self._system = Meter(
            {
                "service": running.api.pid,
                "postgres": servers.postgres.pid,
                "valkey": servers.valkey.pid,
                "relay": running.relay.pid,
                "kafka": servers.kafka.pid,
            }
        )

    async def baseline(self, name: str, asks: Asks, *, at_once: int, seconds: float) -> Round:
        """Load a server that does nothing; its cost is called `noop`."""
        port, process = self._running.baselines[name]

        async def load(connections: Sequence[Connection]) -> Tally:
            return await closed_load(connections, asks, seconds=seconds)

        done = await _round(Meter({"noop": process.pid}), port, at_once, load)
        _refuse_wrong(done.tally, asks)
        return done

    async def service(self, asks: Asks, *, at_once: int, seconds: float) -> Round:
        """Load verification, each connection asking again as soon as it is answered."""

        async def load(connections: Sequence[Connection]) -> Tally:
            tally = await closed_load(connections, asks, seconds=seconds)
            await self._drained()
            return tally

        return await self._service(asks, load, at_once=at_once)

    async def arrivals(self, asks: Asks, *, rate: float, at_once: int, seconds: float) -> Round:
        """Load verification at a constant rate, whatever its answers do."""

        async def load(connections: Sequence[Connection]) -> Tally:
            tally = await open_load(connections, asks, rate=rate, seconds=seconds)
            await self._drained()
            return tally

        return await self._service(asks, load, at_once=at_once)

    async def _service(self, asks: Asks, load: Load, *, at_once: int) -> Round:
        port = self._running.ground.api_port
        done = await _round(self._system, port, at_once, load)
        try:
            _refuse_wrong(done.tally, asks)
        except NotAsExpected as error:
            said = log_tail(self._running.api.command.log)
            raise NotAsExpected(f"{error}. The end of the service's log:\n{said}") from None
        return done

    async def _drained(self) -> None:
        # What the relay and PostgreSQL still have to do for these answers belongs to their cost.
        async with asyncio.timeout(_LONGEST_DRAIN):
            while not await self._watcher.fetchval(_OUTBOX_IS_EMPTY):  # noqa: ASYNC110 - a server
                await asyncio.sleep(_LOOK_SECONDS)


async def _round(meter: Meter, port: int, at_once: int, load: Load) -> Round:
    connections = await connect(port, at_once)
    try:
        before = meter.read()
        tally = await load(connections)
        after = meter.read()
    finally:
        for connection in connections:
            connection.close()
    answers = max(1, tally.answers)
    cost = {name: 1e6 * spent / answers for name, spent in used(before, after).items()}
    return Round(tally, cost)


def _refuse_wrong(tally: Tally, asks: Asks) -> None:
    if tally.answers == 0:
        raise NotAsExpected(f"{asks.name}: nobody was left to ask for; use more --people")
    if tally.unexpected > tally.answers / 1000:
        found = ", ".join(f"{count} x {status}" for status, count in tally.statuses.items())
        raise NotAsExpected(f"{asks.name}: expected {asks.expected} only, but got {found}")
