"""The fault runs with servers that die."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.runs import Numbers, event_numbers

# What each subject may be guessed at once (Settings.guesses_at_once).
CAPACITY = 10
CLEAN_503 = ("authority_unavailable", "unavailable")


async def cache_loss_run(
    world: World, valkey: Valkey, *, attackers: int, seconds: float, kill_every: float
) -> Numbers:
    """Empty and kill Redis again and again under a flood of wrong codes.

    At most the guesses in flight are evaluated above the limit: one an attacker, because each
    waits for its answer. Meanwhile others send one right code many times at once.
    """
    application = await world.application()
    victim = await world.person(application.tenant)
    honest = [await world.person(application.tenant) for _ in range(max(5, int(seconds * 4)))]
    numbers: Counter[str] = Counter(attackers=attackers, bound=CAPACITY + attackers)
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(attackers):
            group.create_task(_attack(world, application, victim, done, numbers))
        group.create_task(_empty(valkey, done, numbers))
        killing = group.create_task(_kill(valkey, done, numbers, every=kill_every))
        deadline = time.monotonic() + seconds
        for person in honest:
            await _replay(world, application, person, numbers)
            if time.monotonic() > deadline:
                break
        await asyncio.sleep(max(0.0, deadline - time.monotonic()))
        done.set()
        await killing
    numbers["evaluated"] = (await world.events(victim)).count("mfa.verification_failed")
    numbers["over_limit"] = max(0, numbers["evaluated"] - CAPACITY)
    numbers["over_bound"] = max(0, numbers["evaluated"] - numbers["bound"])
    return dict(numbers)


async def _attack(
    world: World, application: Application, victim: Person, done: asyncio.Event, numbers: Numbers
) -> None:
    while not done.is_set():
        answer = await world.verify(application, victim, world.wrong_code(victim))
        numbers["guesses"] += 1
        numbers["errors"] += answer.status_code != 403


async def _empty(valkey: Valkey, done: asyncio.Event, numbers: Numbers) -> None:
    async with Redis.from_url(valkey.url(), socket_timeout=1) as redis:
        while not done.is_set():
            with suppress(RedisError):
                await redis.flushall()
                numbers["emptied"] += 1
            await asyncio.sleep(0.005)


async def _kill(valkey: Valkey, done: asyncio.Event, numbers: Numbers, *, every: float) -> None:
    while not done.is_set():
        await asyncio.sleep(every)
        await valkey.kill()
        await valkey.start()
        numbers["kills"] += 1


async def _replay(world: World, application: Application, person: Person, numbers: Numbers) -> None:
    code = world.code(person)
    answers = await asyncio.gather(*(world.verify(application, person, code) for _ in range(6)))
    accepted = sum(answer.status_code == 200 for answer in answers)
    numbers["honest"] += 1
    numbers["accepted_twice"] += accepted > 1
    numbers["refused_by_mistake"] += accepted < 1


async def database_death_run(
    world: World, postgres: Postgres, *, deaths: int, people: int
) -> Numbers:
    """Kill PostgreSQL under load and start it again; the service goes on by itself."""
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(people)]
    numbers: Counter[str] = Counter(deaths=deaths)
    acked: list[tuple[Person, str, str]] = []
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_asking(world, application, crowd, done, numbers, acked))
        for _ in range(deaths):
            before = len(acked)
            await until(lambda: more(acked, before + people))  # noqa: B023
            await asyncio.sleep(random.uniform(0, 0.1))
            await postgres.kill()
            await asyncio.sleep(0.5)
            await postgres.start()
            begun, before = time.monotonic(), len(acked)
            await until(lambda: more(acked, before + 1))  # noqa: B023
            back = int((time.monotonic() - begun) * 1000)
            numbers["slowest_recovery_ms"] = max(numbers["slowest_recovery_ms"], back)
        done.set()
    ids = [event_id for *_, event_id in acked]
    outbox = await event_numbers(world, ids)
    numbers["acked_but_missing"] = outbox["accept_without_event"]
    numbers["sequence_gaps"] = outbox["sequence_gaps"]
    # Committed, and the answer was lost with the connection: no fault, a repeat would get it.
    numbers["answers_lost"] = outbox["event_without_accept"]
    numbers["accepted"] = len(acked)
    numbers["accepted_twice"] += len(ids) - len(set(ids))
    return dict(numbers)


async def keep_asking(
    world: World,
    application: Application,
    crowd: Sequence[Person],
    done: asyncio.Event,
    numbers: Numbers,
    acked: list[tuple[Person, str, str]],
) -> None:
    async def ask(person: Person) -> None:
        code, begun = world.code(person), time.monotonic()
        for _ in range(2):
            answer = await world.verify(application, person, code)
            took = int((time.monotonic() - begun) * 1000)
            numbers["slowest_answer_ms"] = max(numbers["slowest_answer_ms"], took)
            if answer.status_code == 200:
                numbers["accepted_twice"] += (person, code) in spent
                spent.add((person, code))
                acked.append((person, code, answer.json()["event_id"]))
            elif answer.status_code >= 500:
                numbers["answers_503"] += 1
                clean = answer.status_code == 503 and answer.json()["code"] in CLEAN_503
                numbers["unclean_errors"] += not clean
                # A caller that asks again at once would keep PostgreSQL from starting.
                await asyncio.sleep(0.05)

    spent: set[tuple[Person, str]] = set()
    while not done.is_set():
        spent.clear()
        await asyncio.gather(*(ask(person) for person in crowd))
        # The next step's codes; also the budget that repeats used up has time to come back.
        world.clock.forward(timedelta(hours=3))


async def more(acked: Sequence[object], number: int) -> bool:
    return len(acked) >= number
