"""The fault runs with a Redis that is full, forgetful, slow, silent or empty."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import httpx2

from services.verification.reserve import NotSafeToUse
from services.verification.script_calls import CacheDown
from services.verification.use_cases.guesses import Unpaid
from services.verification.workers import watch_cache
from tests.fixtures.fault_proxy import FaultProxy
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.limit_runs import accepted_by
from tests.integration.verification.outage_runs import CAPACITY
from tests.integration.verification.runs import Numbers

_FORGETFUL = (
    *("allkeys-lru", "allkeys-lfu", "allkeys-random"),
    *("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"),
)
_TO_POSTGRES_MS, _BACK_MS, _ANSWER_MS = 2_000, 10_000, 5_000
# Of the client of Redis (open_redis), and a task or two for each request and what it waits for.
_CONNECTIONS, _TASKS_EACH = 64, 8


async def full_run(world: World, *, people: int) -> Numbers:
    """Try every policy that forgets, then fill Redis, then change its policy at work (R6)."""
    numbers: Counter[str] = Counter()
    for policy in _FORGETFUL:
        await world.redis.config_set("maxmemory-policy", policy)
        try:
            await world.cache.refuse_unsafe()
            numbers["errors"] += 1
        except NotSafeToUse:
            numbers["policies_refused"] += 1
    await world.redis.config_set("maxmemory-policy", "noeviction")
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(people)]
    await world.redis.config_set("maxmemory", "1")
    try:
        await _judge_all(world, application, crowd, numbers)
    finally:
        await world.redis.config_set("maxmemory", "0")
    stats = await world.redis.info("errorstats")
    numbers["refused_for_memory"] = int(stats.get("errorstat_OOM", {}).get("count", 0))
    await _change_policy(world, crowd[0], numbers)
    return dict(numbers)


async def _judge_all(
    world: World, application: Application, crowd: Sequence[Person], numbers: Numbers
) -> None:
    for person in crowd:
        numbers["accepted_twice"] -= 1
        numbers["accepted_twice"] += await accepted_by([world], application, person)
        wrong = world.wrong_code(person)
        await asyncio.gather(*(world.verify(application, person, wrong) for _ in range(20)))
        evaluated = (await world.events(person)).count("mfa.verification_failed")
        numbers["evaluated"] = max(numbers["evaluated"], evaluated)
        # A code that is right and comes too late is looked at too, and counted.
        numbers["over_bound"] += max(0, evaluated - CAPACITY)


async def _change_policy(world: World, person: Person, numbers: Numbers) -> None:
    stop = asyncio.Event()
    watching = asyncio.create_task(watch_cache(world.cache.look_again, stop=stop))
    for policy, answers, name in (
        ("allkeys-random", False, "slowest_to_leave_ms"),
        ("noeviction", True, "slowest_to_return_ms"),
    ):
        begun = time.monotonic()
        await world.redis.config_set("maxmemory-policy", policy)
        await until(lambda: _answers(world, person, answers), within=10)  # noqa: B023
        numbers[name] = round((time.monotonic() - begun) * 1000)
    stop.set()
    await watching


async def _answers(world: World, person: Person, wanted: bool) -> bool:
    place = (person.tenant, person.subject_ref)
    try:
        await world.cache.reserve(*place, now=world.clock(), tried_on="6")
    except CacheDown:
        return not wanted
    return wanted


async def silent_run(world: World, proxy: FaultProxy, *, seconds: float, at_once: int) -> Numbers:
    """Slow Redis down, silence it, and let it come back, under load (R7)."""
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(at_once)]
    numbers: Counter[str] = Counter()
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for person in crowd:
            group.create_task(_keep_asking(world, application, person, done, numbers))
        group.create_task(_keep_counting(proxy, done, numbers))
        proxy.delay = 0.2
        await asyncio.sleep(seconds)
        numbers["slowest_while_slow_ms"] = numbers.pop("slowest_answer_ms", 0)
        proxy.swallow()
        begun = time.monotonic()
        await asyncio.wait_for(_one_more(world, application, group), 10)
        numbers["slowest_to_postgres_ms"] = round((time.monotonic() - begun) * 1000)
        await asyncio.sleep(seconds)
        proxy.pass_on()
        begun = time.monotonic()
        await until(lambda: _answers(world, crowd[0], True), within=30)
        numbers["slowest_back_ms"] = round((time.monotonic() - begun) * 1000)
        done.set()
    numbers["unbounded"] = (
        (numbers["slowest_to_postgres_ms"] > _TO_POSTGRES_MS)
        + (numbers["slowest_back_ms"] > _BACK_MS)
        + (numbers["slowest_answer_ms"] > _ANSWER_MS)
        + (numbers["most_connections"] > _CONNECTIONS)
        + (numbers["most_tasks"] > at_once * _TASKS_EACH + 40)
    )
    return dict(numbers)


async def _one_more(world: World, application: Application, group: asyncio.TaskGroup) -> None:
    person = await world.person(application.tenant)
    answer = await world.verify(application, person, world.code(person))
    assert answer.status_code == 200


async def _keep_asking(
    world: World, application: Application, person: Person, done: asyncio.Event, numbers: Numbers
) -> None:
    while not done.is_set():
        begun = time.monotonic()
        answer = await world.verify(application, person, world.wrong_code(person))
        took = round((time.monotonic() - begun) * 1000)
        numbers["asked"] += 1
        numbers["errors"] += answer.status_code != 403
        numbers["slowest_answer_ms"] = max(numbers["slowest_answer_ms"], took)


async def _keep_counting(proxy: FaultProxy, done: asyncio.Event, numbers: Numbers) -> None:
    while not done.is_set():
        tasks = len(asyncio.all_tasks()) - 3 * proxy.connections
        numbers["most_tasks"] = max(numbers["most_tasks"], tasks)
        numbers["most_connections"] = max(numbers["most_connections"], proxy.connections)
        await asyncio.sleep(0.02)


@contextmanager
def full_backlog() -> Iterator[int]:
    """Yield a port whose every further SYN is dropped: nobody takes what waits in its queue."""
    waiting: list[socket.socket] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
            waiting.append(one)
        try:
            yield listening.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


async def cold_run(world: World, *, people: int, each: int) -> Numbers:
    """Empty Redis at full load: one loader a person, a bounded number at once (R8)."""
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(people)]
    numbers: Counter[str] = Counter(people=people)
    _count_loads(world, numbers)
    for _ in range(2):
        await world.redis.flushall()
        begun = time.monotonic()
        answers = await _all_at_once(world, application, list(crowd) * each)
        numbers["slowest_to_warm_ms"] = max(
            numbers["slowest_to_warm_ms"], round((time.monotonic() - begun) * 1000)
        )
        numbers["errors"] += sum(answer.status_code >= 500 for answer in answers)
        accepted = sum(answer.status_code == 200 for answer in answers)
        numbers["refused_by_mistake"] += max(0, people - accepted)
        numbers["accepted_twice"] += max(0, accepted - people)
        world.clock.forward(timedelta(minutes=2))
    pool = world.plumbing.app_pool
    numbers["unbounded"] += numbers["most_connections"] > pool.get_max_size()
    return dict(numbers)


def _count_loads(world: World, numbers: Numbers) -> None:
    guesses = world.parts.door.verify.guesses
    load, running = guesses._load, Counter[UUID]()

    async def counting(guess: Unpaid) -> None:
        subject = guess.subject
        running[subject] += 1
        numbers["loads"] += 1
        numbers["unbounded"] += running[subject] > 1
        size = world.plumbing.app_pool.get_size()
        numbers["most_connections"] = max(numbers["most_connections"], size)
        await load(guess)
        running[subject] -= 1

    guesses._load = counting  # type: ignore[method-assign]


async def _all_at_once(
    world: World, application: Application, crowd: Sequence[Person]
) -> list[httpx2.Response]:
    """Ask for everybody, as many at once as there are places for one tenant, or nearly."""
    answers: list[httpx2.Response] = []
    left = iter(crowd)

    async def go_on() -> None:
        for person in left:
            answers.append(await world.verify(application, person, world.code(person)))

    await asyncio.gather(*(go_on() for _ in range(128)))
    return answers
