"""The fault runs in which a verification process runs out of files, memory, log space or time."""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import uuid4

import psutil

from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.processes import Answers, VerifyProcess, asking, verify_process
from tests.integration.verification.runs import Numbers, event_numbers

_BLOCKED_SECONDS = 2.0
_LONGEST_ANSWER = 15.0
_CUT_OFF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
Fault = Callable[[World, VerifyProcess], Awaitable[None]]


async def limits_run(world: World, *, people: int) -> Numbers:
    """Take files, memory and log space from a process under load, and give them back."""
    application = await world.application()
    numbers: Counter[str] = Counter()
    acked: list[str] = []
    for fault, failpoint in ((_no_files, "none"), (_no_memory, "none"), (_no_log, "full_log")):
        crowd = [await world.person(application.tenant) for _ in range(people)]
        async with verify_process(world, failpoint, quiet=True) as process:
            before = await process.ask([asking(application, one, world.code(one)) for one in crowd])
            acked += [str(event_id) for status, event_id in before or [] if status == 200]
            await fault(world, process)
            acked += await _ask_all(world, application, process, crowd, numbers=numbers)
            if fault is not _no_memory:
                await _give_back(process)
                begun = time.monotonic()
                acked += await _lets_in(world, application, process)
                _slowest(numbers, "slowest_recovery_ms", begun)
        begun = time.monotonic()
        async with verify_process(world) as process:
            acked += await _lets_in(world, application, process)
            _slowest(numbers, "slowest_restart_ms", begun)
    return dict(numbers) | await event_numbers(world, acked)


async def blocked_run(world: World) -> Numbers:
    """Block the event loop while codes are judged."""
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(10)]
    asked = [
        asyncio.create_task(world.verify(application, person, world.code(person)))
        for person in crowd
    ]
    await asyncio.sleep(0)
    time.sleep(_BLOCKED_SECONDS)  # noqa: ASYNC251 - that is the fault
    answers = await asyncio.gather(*asked)
    again = [await world.verify(application, person, world.code(person)) for person in crowd]
    accepted = [str(one.json()["event_id"]) for one in (*answers, *again) if one.is_success]

    async def shows() -> bool:
        shown = world.parts.lag.readings()["event_loop_lag_seconds"]
        return shown > _BLOCKED_SECONDS - 0.2

    await until(shows)
    return {
        "accepted_twice": sum(
            one.is_success and two.is_success for one, two in zip(answers, again, strict=True)
        ),
        "refused_by_mistake": sum(one.status_code == 403 for one in answers),
    } | await event_numbers(world, accepted)


async def _no_files(world: World, process: VerifyProcess) -> None:
    seen = psutil.Process(process.process.pid)
    _, hard = seen.rlimit(resource.RLIMIT_NOFILE)
    # None for a new connection, and the old ones end.
    seen.rlimit(resource.RLIMIT_NOFILE, (3, hard))
    await world.rows(_CUT_OFF)


async def _no_memory(world: World, process: VerifyProcess) -> None:
    del world
    seen = psutil.Process(process.process.pid)
    _, hard = seen.rlimit(resource.RLIMIT_AS)
    seen.rlimit(resource.RLIMIT_AS, (seen.memory_info().vms, hard))


async def _no_log(world: World, process: VerifyProcess) -> None:
    # The log was full from the start; now there is something to say.
    del process
    await world.rows(_CUT_OFF)


async def _give_back(process: VerifyProcess) -> None:
    seen = psutil.Process(process.process.pid)
    _, hard = seen.rlimit(resource.RLIMIT_NOFILE)
    seen.rlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _ask_all(
    world: World,
    application: Application,
    process: VerifyProcess,
    crowd: Sequence[Person],
    *,
    numbers: Counter[str],
) -> list[str]:
    """Ask for everybody's next code and repeat it elsewhere; returns the events told of."""
    asked = [(person, world.code(person, steps=1), uuid4().hex) for person in crowd]
    answers = await _answers(process, application, asked)
    told = []
    for number, (person, code, key) in enumerate(asked):
        status, event_id = answers[number] if answers is not None else (0, None)
        numbers["asked"] += 1
        numbers[f"answers_{status or 'lost'}"] += 1
        repeat = await world.verify(application, person, code, idempotency_key=key)
        given = repeat.json().get("event_id")
        told.append(str(given))
        numbers["repeats_answered_differently"] += repeat.status_code != 200
        numbers["acked_but_missing"] += status == 200 and given != event_id
        again = await world.verify(application, person, code)
        numbers["accepted_twice"] += again.status_code == 200
    return told


async def _answers(
    process: VerifyProcess, application: Application, asked: Sequence[tuple[Person, str, str]]
) -> Answers | None:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_LONGEST_ANSWER):
            return await process.ask(
                [asking(application, person, code, key) for person, code, key in asked]
            )
    return None


async def _lets_in(world: World, application: Application, process: VerifyProcess) -> list[str]:
    person, acked = await world.person(application.tenant), list[str]()

    async def accepted() -> bool:
        answers = await process.ask([asking(application, person, world.code(person))])
        acked.extend(str(event_id) for status, event_id in answers or [] if status == 200)
        return bool(acked)

    await until(accepted, within=20)
    return acked


def _slowest(numbers: Counter[str], name: str, begun: float) -> None:
    numbers[name] = max(numbers[name], int((time.monotonic() - begun) * 1000))
