"""The order of the rounds: a baseline beside each of them, so that both see the same machine."""

import asyncio
import statistics
from dataclasses import dataclass, field

from bench.verify import asks, raw
from bench.verify.ground import Running
from bench.verify.people import People, Turns
from bench.verify.plan import AT_ONCE, BUSY, MIDDLE, Plan
from bench.verify.rounds import Rounds
from bench.verify.target import NotAsExpected, Round, drained
from deploy.local.process import Progress
from libs.postgres import pool

_WIDE = max(AT_ONCE)
_FAILURES_COUNTED = "SELECT coalesce(sum(consecutive), 0)::bigint FROM verification.subject"


@dataclass(frozen=True)
class Pair:
    """A round of the service and the FastAPI no-op just before it."""

    noop: Round
    service: Round


@dataclass
class Measured:
    """All rounds, by kind and how many asked at once."""

    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    baselines: dict[str, list[Round]] = field(default_factory=dict)
    stores: dict[str, list[raw.Raw]] = field(default_factory=dict)
    busy: list[Round] = field(default_factory=list)
    # How many cores did something else meanwhile: the figures are of a quiet machine, or of little.
    foreign_cores: float = 0.0
    # How many people the cache knew, and how many more were asked for all the same.
    warm: int = 0
    cold: int = 0

    def best_rate(self) -> float:
        """Return the most answers a second of right codes: of all degrees of concurrency."""
        return max(
            statistics.median(pair.service.tally.rate for pair in self.pairs[f"c{at_once}"])
            for at_once in AT_ONCE
        )


class Measuring:
    """Measures what a plan says."""

    def __init__(
        self, plan: Plan, running: Running, watcher: pool.Connection, *, people: People, key: str
    ) -> None:
        self._plan = plan
        self._running = running
        self._watcher = watcher
        self._rounds = Rounds(running, drained(watcher))
        self._people = people
        self._turns = Turns(people.right)
        self._writer = asks.Writer(key=key)
        self._right = asks.accepted(self._writer, people, self._turns.take)
        self._with_receipt = asks.accepted(self._writer, people, self._turns.take, receipt=True)
        self._nothing = asks.same_each_time(self._writer)
        self._measured = Measured()

    async def everything(self, say: Progress) -> Measured:
        """Warm up, then measure."""
        say("warming up: each person is asked for once, so that the cache knows them")
        await self._warm_up()
        say(f"{self._measured.warm:,} people are warm")
        for number in range(self._plan.rounds):
            say(f"right codes, round {number + 1} of {self._plan.rounds}")
            for at_once in AT_ONCE:
                await self._codes_are_left(say)
                await self._pair(f"c{at_once}", self._right, at_once=at_once)
            await self._codes_are_left(say)
            await self._pair(f"receipt_c{MIDDLE}", self._with_receipt, at_once=MIDDLE)
            await self._others()
        await self._wrong_codes(say)
        await self._refusals(say)
        await self._codes_are_left(say)
        rate = BUSY * self._measured.best_rate()
        say(f"right codes, {rate:.0f} a second come whatever the answers do")
        self._measured.busy.append(
            await self._rounds.arrivals(
                self._right, rate=rate, at_once=_WIDE, seconds=self._plan.open_seconds
            )
        )
        self._measured.cold = self._turns.known - self._measured.warm
        return self._measured

    async def _warm_up(self) -> None:
        seconds = self._plan.warm_up_seconds
        # A right code costs those who will send wrong ones no guess.
        for turns, longest in ((Turns(self._people.guessing), 60.0), (self._turns, seconds)):
            new = asks.accepted(self._writer, self._people, turns.take_new)
            await self._rounds.service(new, at_once=_WIDE, seconds=longest)
        full = asks.refused(self._writer, self._people)
        await self._rounds.service(full, at_once=MIDDLE, seconds=self._plan.other_seconds)
        self._measured.warm = self._turns.known

    async def _wrong_codes(self, say: Progress) -> None:
        wrong, sent = asks.wrong(self._writer, self._people), 0
        for number in range(self._plan.rounds):
            say(f"wrong codes, round {number + 1} of {self._plan.rounds}")
            pair = await self._pair(f"wrong_c{MIDDLE}", wrong, at_once=MIDDLE)
            sent += pair.service.tally.answers
        judged = await self._watcher.fetchval(_FAILURES_COUNTED)
        if judged != sent:
            # The others were refused without a look at them: not what was to be measured.
            raise NotAsExpected(f"of {sent} wrong codes {judged} were judged")

    async def _refusals(self, say: Progress) -> None:
        full = asks.refused(self._writer, self._people)
        for number in range(self._plan.rounds):
            say(f"no guess left, round {number + 1} of {self._plan.rounds}")
            await self._pair(f"refused_c{MIDDLE}", full, at_once=MIDDLE)

    async def _codes_are_left(self, say: Progress) -> None:
        if self._turns.used_up:
            say("everybody's codes are used: waiting for the next ones")
        while self._turns.used_up:  # noqa: ASYNC110 - for the clock
            await asyncio.sleep(0.2)

    async def _pair(self, name: str, ask: asks.Asks, *, at_once: int) -> Pair:
        plan, rounds = self._plan, self._rounds
        noop = await rounds.baseline(
            "fastapi", self._nothing, at_once=at_once, seconds=plan.noop_seconds
        )
        pair = Pair(noop, await rounds.service(ask, at_once=at_once, seconds=plan.service_seconds))
        self._measured.pairs.setdefault(name, []).append(pair)
        return pair

    async def _others(self) -> None:
        seconds, measured = self._plan.other_seconds, self._measured
        installed = [("installed", at_once) for at_once in AT_ONCE]
        for name, at_once in (("asgi", MIDDLE), ("typed", MIDDLE), *installed):
            done = await self._rounds.baseline(
                name, self._nothing, at_once=at_once, seconds=seconds
            )
            measured.baselines.setdefault(f"{name}_c{at_once}", []).append(done)
        ground = self._running.ground
        reserves = await raw.reserves(ground, seconds=seconds)
        measured.stores.setdefault("reserve", []).append(reserves)
        commits = await raw.commits(ground, seconds=seconds)
        measured.stores.setdefault("commit", []).append(commits)
