"""The verifier between faults, against a model of "at most once" and "never over the budget"."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from redis.asyncio import Redis

from contracts.vocabulary import Scope
from deploy.local.valkey import Valkey
from services.verification.domain.budget import Budget
from tests.fixtures.services import ServiceDatabase, TestClock
from tests.integration.verification import grounds
from tests.integration.verification.conftest import Application, Person, World, running_world

Result = TypeVar("Result")
BUDGET = Budget(capacity=10, per_day=20, consecutive=50)
PROCESSES = st.sampled_from((0, 1))


@dataclass
class Model:
    """What may have happened, whatever fails."""

    last_step: int = -1
    level: float = 0.0
    at: datetime | None = None
    # A Redis that comes back has missed what was counted without it: one guess finds that out.
    slack: int = 0

    def accepted(self, step: int) -> None:
        """Only a step that is newer than all before, so each once."""
        assert step > self.last_step, "a code was accepted twice"
        self.last_step = step

    def evaluated(self, wrong: int, now: datetime) -> None:
        """The bucket: what runs out of it in time, and what was poured in."""
        passed = (now - self.at).total_seconds() if self.at is not None else 0.0
        self.level, self.at = max(0.0, self.level - passed * BUDGET.per_second) + wrong, now
        # Rounding and the moment between judging and looking.
        assert self.level <= BUDGET.capacity + self.slack + 0.01, "guessed over the budget"


@dataclass
class Ground:
    """Two processes on one database and one Redis, which outlive the examples."""

    stored: ServiceDatabase
    folder: Path
    valkey: Valkey
    clock: TestClock = field(default_factory=TestClock)
    worlds: list[World] = field(default_factory=list)
    exits: list[AsyncExitStack] = field(default_factory=list)
    redis_runs: bool = True

    async def start(self, which: int) -> None:
        """Start a process, in the place of the one before."""
        exits = AsyncExitStack()
        url = self.valkey.url()
        # A Redis that is only slow, on a busy machine, would count as away.
        patience = timedelta(seconds=10)
        opening = running_world(self.stored, url, self.folder, clock=self.clock, patience=patience)
        world = await exits.enter_async_context(opening)
        if which < len(self.worlds):
            old, self.exits[which] = self.exits[which], exits
            self.worlds[which] = world
            await old.aclose()
            return
        self.worlds.append(world)
        self.exits.append(exits)

    async def empty(self) -> None:
        """Empty Redis over a connection that no death has torn."""
        async with Redis.from_url(self.valkey.url(), socket_timeout=2) as redis:
            await redis.flushall()


@asynccontextmanager
async def opened(stored: ServiceDatabase, folder: Path) -> AsyncIterator[Ground]:
    async with grounds.own_valkey(folder) as valkey:
        ground = Ground(stored, folder, valkey)
        await ground.start(0)
        await ground.start(1)
        yield ground
        for exits in ground.exits:
            await exits.aclose()


class Machine(RuleBasedStateMachine):
    """One person, two processes, and whatever may happen to them."""

    ground: ClassVar[Ground]
    runner: ClassVar[asyncio.Runner]
    seen: ClassVar[dict[str, int]]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.undisturbed = True
        self.counted = 0

    def run_now(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    @initialize()
    def somebody_enrolls(self) -> None:
        world = self.ground.worlds[0]
        scopes = (Scope.VERIFY, Scope.VERIFY_REASONS)
        self.application: Application = self.run_now(world.application(scopes=scopes))
        self.person: Person = self.run_now(world.person(self.application.tenant))

    @rule(process=PROCESSES, steps=st.sampled_from((-1, 0, 1)), copies=st.integers(1, 4))
    def right_code(self, process: int, steps: int, copies: int) -> None:
        """Send the code of a step, several times at once, to both processes."""
        now = self.ground.clock()
        step = int(now.timestamp()) // 30 + steps
        code = self.person.phone.at(now, counter_offset=steps)
        room = self.model.level + copies <= BUDGET.capacity - 1
        fresh = step > self.model.last_step and steps >= 0 and room and self.undisturbed
        codes = [(process ^ (n % 2), code) for n in range(copies)]
        accepted = self.run_now(self._ask(codes))
        assert accepted <= 1, "a code was accepted twice at once"
        assert accepted == 1 or not fresh, "a right code was refused without a reason"
        if accepted:
            self.model.accepted(step)
            self.seen["accepted"] += 1
        self._compare()

    @rule(process=PROCESSES, guesses=st.integers(1, 12))
    def wrong_codes(self, process: int, guesses: int) -> None:
        """Guess, one after another."""
        for n in range(guesses):
            wrong = self.ground.worlds[0].wrong_code(self.person)
            assert self.run_now(self._ask([((process + n) % 2, wrong)])) == 0
        self._compare()

    @precondition(lambda self: self.ground.redis_runs)
    @rule()
    def redis_is_emptied(self) -> None:
        self.undisturbed = False
        self.run_now(self.ground.empty())
        self.seen["emptied"] += 1

    @precondition(lambda self: self.ground.redis_runs)
    @rule()
    def redis_dies(self) -> None:
        self.undisturbed = False
        self.run_now(self.ground.valkey.kill())
        self.ground.redis_runs = False
        self.seen["deaths"] += 1

    @precondition(lambda self: not self.ground.redis_runs)
    @rule()
    def redis_comes_back(self) -> None:
        self.run_now(self.ground.valkey.start())
        self.ground.redis_runs = True
        self.model.slack += 1

    @rule(process=PROCESSES)
    def a_process_is_replaced(self, process: int) -> None:
        self.undisturbed = False
        self.run_now(self.ground.start(process))
        self.seen["restarts"] += 1

    @rule(by=st.sampled_from((30, 90, 3600, 86_400)))
    def time_passes(self, by: int) -> None:
        self.ground.clock.forward(timedelta(seconds=by))

    def teardown(self) -> None:
        if not self.ground.redis_runs:
            self.run_now(self.ground.valkey.start())
            self.ground.redis_runs = True

    async def _ask(self, codes: list[tuple[int, str]]) -> int:
        answers = await asyncio.gather(
            *(
                self.ground.worlds[process].verify(self.application, self.person, code)
                for process, code in codes
            )
        )
        self.seen["asked"] += len(answers)
        assert {answer.status_code for answer in answers} <= {200, 403}
        return sum(answer.status_code == 200 for answer in answers)

    def _compare(self) -> None:
        events = self.run_now(self.ground.worlds[0].events(self.person))
        counted = events.count("mfa.verification_failed")
        self.model.evaluated(counted - self.counted, self.ground.clock())
        self.seen["evaluated"] += counted - self.counted
        self.counted = counted
