"""Servers with people enrolled, on which comparisons are made one after another."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from redis.asyncio import Redis

from bench.verify import asks
from bench.verify.apis import first_api, service_target
from bench.verify.fill import fill_cache
from bench.verify.ground import Ground, Running, open_ground, running
from bench.verify.people import People, TakeTurn, Turns, limited
from bench.verify.plan import AT_ONCE, Comparison
from bench.verify.seed import seed
from bench.verify.target import Done, NotAsExpected, Target, drained
from deploy.local.process import Progress
from libs.postgres.pool import Connection

WIDE = max(AT_ONCE)
_LONGEST = 120.0
_TRIES = 3
_LOOK_SECONDS = 0.1
# Of all people this part is asked for in one round.
_ROUND = 3


@dataclass
class Stage:
    """What runs, who can be asked for, and what is to be measured."""

    running: Running
    watcher: Connection
    people: People
    turns: Turns
    writer: asks.Writer
    plan: Comparison
    say: Progress
    _best: list[float] = field(default_factory=list)

    @property
    def drained(self) -> Done:
        """Return what waits until the outbox is empty."""
        return drained(self.watcher)

    @property
    def first(self) -> Target:
        """Return the process with the settings of a deployment."""
        return service_target(self.running, [first_api(self.running)], done=self.drained)

    @property
    def right(self) -> asks.Asks:
        """Return requests with right codes."""
        return self.taking(self.turns.take)

    def taking(self, take: TakeTurn) -> asks.Asks:
        """Return requests with right codes of certain people."""
        return asks.accepted(self.writer, self.people, take)

    async def meet_all(self, target: Target) -> None:
        """Ask for everybody once, so that a process knows them."""
        count = len(self.people.right)
        take = self.turns.take if self.turns.known == count else self.turns.take_new
        asked = 0
        while asked < count:
            await until(lambda: not self.turns.used_up)
            rest = self.taking(limited(take, count - asked))
            asked += (await target.closed(rest, at_once=WIDE, seconds=_LONGEST)).tally.answers

    async def fresh_codes(self) -> None:
        """Wait where there are not enough unused codes for a whole round."""
        await self.fresh(self.turns)

    async def fresh(self, turns: Turns) -> None:
        """Do the same for other turns of the same people."""
        await until(lambda: turns.has(self.people.count // _ROUND))

    async def best_rate(self) -> float:
        """Return the most answers a second, measured when it is asked for first."""
        while len(self._best) < _TRIES:
            await self.fresh_codes()
            found = await self.first.closed(
                self.right, at_once=WIDE, seconds=self.plan.best_seconds
            )
            self._best.append(found.tally.rate)
        return statistics.median(self._best)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what comes with time."""
    while not holds():  # noqa: ASYNC110 - for the clock
        await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def open_stage(
    folder: Path,
    people: People,
    plan: Comparison,
    settings: Mapping[str, str],
    say: Progress,
    *,
    postgres: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Start servers, enroll people, and run verification; PostgreSQL may have own settings."""
    async with open_ground(folder, settings, say, postgres_settings=postgres) as ground:
        key = await seed(ground.place, people, say)
        watcher = await asyncpg.connect(ground.superuser_dsn)
        try:
            await _fill(ground, watcher, people, say)
            async with running(ground) as run:
                turns = Turns(people.right, period=people.period)
                yield Stage(run, watcher, people, turns, asks.Writer(key=key), plan, say)
        finally:
            await watcher.close()


async def _fill(ground: Ground, watcher: Connection, people: People, say: Progress) -> None:
    filled = await fill_cache(watcher, ground.servers.valkey.url(), say)
    async with Redis.from_url(ground.servers.valkey.url()) as redis:
        kept = await redis.dbsize()
    if not people.count == filled == kept:
        raise NotAsExpected(f"of {people.count} people {filled} are enrolled, {kept} in the cache")
