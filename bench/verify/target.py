"""What is loaded: servers that answer the same requests, and what their work costs each process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.verify.asks import Asks
from bench.verify.costs import Meter, used
from bench.verify.load import Connection, Tally, closed_load, connect, open_load
from deploy.local.process import log_tail
from libs.postgres import pool

_OUTBOX_IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM verification.outbox)"
_LONGEST_DRAIN = 60.0
_LOOK_SECONDS = 0.05
SYSTEM = ("service", "postgres", "valkey", "relay")
Load = Callable[[Sequence[Connection]], Awaitable[Tally]]
Done = Callable[[], Awaitable[None]]


class NotAsExpected(Exception):  # noqa: N818
    """Too many answers were not the right one: the figures would be of something else."""


@dataclass(frozen=True)
class Round:
    """What came back, and the microseconds that each process used for one answer."""

    tally: Tally
    cost: Mapping[str, float]

    @property
    def system(self) -> float:
        """Return the microseconds of all that a verification needs."""
        return sum(self.cost[part] for part in SYSTEM)


async def nothing_more() -> None:
    """Wait for nothing: all work for an answer is done when it is given."""


@dataclass(frozen=True)
class Target:
    """Where requests go, whose work is metered, and when the work for them is `done`.

    Connections are spread evenly over the ports.
    """

    ports: Sequence[int]
    meter: Meter
    log: Path
    done: Done = nothing_more

    async def closed(self, asks: Asks, *, at_once: int, seconds: float) -> Round:
        """Load it, each connection asking again as soon as it is answered."""

        async def load(connections: Sequence[Connection]) -> Tally:
            return await closed_load(connections, asks, seconds=seconds)

        return await self._round(asks, load, at_once=at_once)

    async def arrivals(self, asks: Asks, *, rate: float, at_once: int, seconds: float) -> Round:
        """Load it at a constant rate, whatever its answers do."""

        async def load(connections: Sequence[Connection]) -> Tally:
            return await open_load(connections, asks, rate=rate, seconds=seconds)

        return await self._round(asks, load, at_once=at_once)

    async def _answered(self, asks: Asks, load: Awaitable[Tally]) -> Tally:
        try:
            return await load
        except TimeoutError as error:
            said = log_tail(self.log)
            why = f"{asks.name}: some requests were never answered {error}"
            raise NotAsExpected(f"{why}. The end of {self.log.name}:\n{said}") from None

    async def _connected(self, count: int) -> Sequence[Connection]:
        shares = even_shares(count, len(self.ports))
        opened = [
            await connect(port, share) for port, share in zip(self.ports, shares, strict=True)
        ]
        return [connection for some in opened for connection in some]

    async def _round(self, asks: Asks, load: Load, *, at_once: int) -> Round:
        connections = await self._connected(at_once)
        try:
            before = self.meter.read()
            tally = await self._answered(asks, load(connections))
            await self.done()
            after = self.meter.read()
        finally:
            for connection in connections:
                connection.close()
        try:
            refuse_wrong(tally, asks)
        except NotAsExpected as error:
            said = log_tail(self.log)
            raise NotAsExpected(f"{error}. The end of {self.log.name}:\n{said}") from None
        answers = max(1, tally.answers)
        cost = {name: 1e6 * spent / answers for name, spent in used(before, after).items()}
        return Round(tally, cost)


def even_shares(count: int, among: int) -> Sequence[int]:
    """Return how many each of several gets, with the least difference."""
    return [count // among + (number < count % among) for number in range(among)]


def drained(watcher: pool.Connection) -> Done:
    """Return what waits until the outbox is empty.

    What the relay and PostgreSQL still have to do for answers belongs to their cost.
    """

    async def wait() -> None:
        try:
            async with asyncio.timeout(_LONGEST_DRAIN):
                while not await watcher.fetchval(_OUTBOX_IS_EMPTY):  # noqa: ASYNC110 - a server
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise NotAsExpected(f"events still wait after {_LONGEST_DRAIN:.0f} s") from None

    return wait


def refuse_wrong(tally: Tally, asks: Asks) -> None:
    """Raise NotAsExpected where too many answers are not those that were to be measured."""
    if tally.answers == 0:
        raise NotAsExpected(f"{asks.name}: nobody was left to ask for; use more --people")
    if tally.unexpected > tally.answers / 1000:
        found = ", ".join(f"{count} x {status}" for status, count in tally.statuses.items())
        raise NotAsExpected(f"{asks.name}: expected {asks.expected} only, but got {found}")
