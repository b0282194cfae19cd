"""The fault run in which everything dies at once and comes back in any order."""

import asyncio
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from uuid import uuid4

from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.processes import VerifyProcess, asking, verify_process
from tests.integration.verification.runs import Numbers, event_numbers

_PROCESSES = 2
_AT_ONCE = 3


@dataclass
class _Asked:
    """What was asked of whom, and what came back before everything died."""

    person: Person
    code: str
    key: str
    event_id: str | None = None


@dataclass
class _Told:
    asked: list[_Asked] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)


async def power_cut_run(
    world: World, postgres: Postgres, valkey: Valkey, *, rounds: int
) -> Numbers:
    """Kill the servers and the processes under load, start them again, ask everything again."""
    application = await world.application()
    numbers: Counter[str] = Counter(rounds=rounds)
    event_ids: list[str] = []
    took: list[int] = []
    async with AsyncExitStack() as stack:
        running = await _start(world, stack)
        for _ in range(rounds):
            crowd = [await world.person(application.tenant) for _ in range(12 * _PROCESSES)]
            witness = await world.person(application.tenant)
            told = await _cut(world, application, crowd, running, [postgres, valkey])
            begun = time.monotonic()
            running = await _restart(world, stack, [postgres.start, valkey.start])
            await until(lambda: _lets_in(world, application, witness, running), within=30)  # noqa: B023
            took.append(int((time.monotonic() - begun) * 1000))
            numbers.update(await _ask_again(world, application, told, running))
            event_ids += told.event_ids
    numbers["slowest_recovery_ms"] = max(took)
    numbers["median_recovery_ms"] = int(statistics.median(took))
    # The witness of each round, who was asked about without noting the answers.
    outbox = await event_numbers(world, event_ids)
    numbers["sequence_gaps"] = outbox["sequence_gaps"]
    numbers["accept_without_event"] = outbox["accept_without_event"]
    numbers["event_without_accept"] = max(0, outbox["event_without_accept"] - rounds)
    return dict(numbers)


async def _cut(
    world: World,
    application: Application,
    crowd: Sequence[Person],
    running: Sequence[VerifyProcess],
    servers: Sequence[Postgres | Valkey],
) -> _Told:
    """Ask until everything is dead."""
    told = _Told()
    shares = [crowd[n :: len(running)] for n in range(len(running))]
    asking_all = [
        asyncio.create_task(_ask_until_dead(world, application, process, share, told))
        for process, share in zip(running, shares, strict=True)
    ]
    await asyncio.sleep(random.uniform(0.005, 0.06))
    for process in running:
        process.process.kill()
    await asyncio.gather(*(server.kill() for server in servers))
    await asyncio.gather(*asking_all)
    return told


async def _ask_until_dead(
    world: World,
    application: Application,
    process: VerifyProcess,
    crowd: Sequence[Person],
    told: _Told,
) -> None:
    for start in range(0, len(crowd), _AT_ONCE):
        asked = [
            _Asked(person, world.code(person), uuid4().hex)
            for person in crowd[start : start + _AT_ONCE]
        ]
        told.asked += asked
        try:
            answers = await process.ask(
                [asking(application, one.person, one.code, one.key) for one in asked]
            )
        except OSError:
            return
        if answers is None:
            return
        for one, (_, event_id) in zip(asked, answers, strict=True):
            one.event_id = event_id


async def _restart(
    world: World, stack: AsyncExitStack, starts: Sequence[Callable[[], Awaitable[None]]]
) -> list[VerifyProcess]:
    """Start everything in a random order, one close behind the other."""
    processes: list[VerifyProcess] = []

    async def our_own() -> None:
        processes.extend(await _start(world, stack))

    async def one(start: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(random.uniform(0, 0.3))
        await start()

    await asyncio.gather(*(one(start) for start in (*starts, our_own)))
    return processes


async def _start(world: World, stack: AsyncExitStack) -> list[VerifyProcess]:
    async def one() -> VerifyProcess:
        end = time.monotonic() + 30
        while True:
            try:
                return await stack.enter_async_context(verify_process(world, quiet=True))
            except AssertionError:
                # It ended, for want of PostgreSQL; whoever runs us starts it again.
                if time.monotonic() > end:
                    raise

    return await asyncio.gather(*(one() for _ in range(_PROCESSES)))


async def _lets_in(
    world: World, application: Application, person: Person, running: Sequence[VerifyProcess]
) -> bool:
    for process in running:
        answers = await process.ask([asking(application, person, world.code(person))])
        if answers is not None and answers[0][0] in (200, 403):
            return True
    return False


async def _ask_again(
    world: World, application: Application, told: _Told, running: Sequence[VerifyProcess]
) -> Counter[str]:
    """Repeat everything with its key, then ask anew with the same code."""
    numbers: Counter[str] = Counter(asked=len(told.asked))
    repeats = [asking(application, one.person, one.code, one.key) for one in told.asked]
    anew = [asking(application, one.person, one.code) for one in told.asked]
    answers = [await process.ask(repeats) for process in running]
    for number, one in enumerate(told.asked):
        given = {part[number][1] for part in answers if part is not None}
        numbers["acked"] += one.event_id is not None
        numbers["repeats_answered_differently"] += len(given) != 1 or None in given
        numbers["acked_but_missing"] += one.event_id is not None and given != {one.event_id}
        told.event_ids += [str(each) for each in given if each is not None]
    for process in running:
        numbers["accepted_twice"] += sum(
            status == 200 for status, _ in await process.ask(anew) or []
        )
    return numbers
