"""The fault run with callers that go away."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import httpx2
from redis.exceptions import RedisError

from services.verification.reserve import Reserved
from services.verification.script_calls import CacheDown, ScriptCalls, _Call
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Person, World
from tests.integration.verification.runs import Numbers


async def cancel_run(world: World, *, people: int, requests: int, replies: int) -> Numbers:
    """Cancel every second request somewhere; what the others hear must be their own."""
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(people)]
    numbers: Counter[str] = Counter(asked=requests)
    charged: Counter[Person] = Counter()
    _count_timeouts(world, numbers)

    async def one() -> None:
        person = random.choice(crowd)
        right = random.random() < 0.7
        code = (
            world.code(person, steps=random.choice((-1, 0, 1)))
            if right
            else world.wrong_code(person)
        )
        asking = asyncio.create_task(world.verify(application, person, code))
        if random.random() < 0.5:
            await asyncio.sleep(random.uniform(0, 0.15))
            asking.cancel()
        await asyncio.wait([asking])
        if asking.cancelled():
            numbers["cancelled"] += 1
            charged[person] += 1
            return
        _judge_reply(asking.result(), person, numbers)
        charged[person] += asking.result().status_code == 403

    for _ in range(0, requests, 40):
        await asyncio.gather(*(one() for _ in range(40)))
    await _cancel_reserves(world, crowd, numbers, replies=replies)
    # Where Redis was too slow to say so, it may have charged; that is the caller's loss.
    leaked = await _leaked(world, crowd, charged)
    numbers["leaked_guesses"] = max(0, leaked - numbers["redis_timeouts"])
    numbers["leaked_connections"] = await leaked_connections(world)
    return dict(numbers)


def _count_timeouts(world: World, numbers: Numbers) -> None:
    calls = world.cache._calls
    assert isinstance(calls, ScriptCalls)
    send = calls._send

    async def counting(batch: list[_Call]) -> list[object]:
        try:
            return await send(batch)
        except RedisError:
            numbers["redis_timeouts"] += len(batch)
            raise

    calls._batches._work = counting


def _judge_reply(answer: httpx2.Response, person: Person, numbers: Numbers) -> None:
    numbers["errors"] += answer.status_code >= 500
    if answer.status_code == 200:
        numbers["accepted"] += 1
        foreign = answer.json()["authenticator"] != str(person.authenticator_id)
        numbers["foreign_replies"] += foreign


async def _cancel_reserves(
    world: World, crowd: Sequence[Person], numbers: Numbers, *, replies: int
) -> None:
    """Read straight from the cache, where a reply left behind would show at once."""

    async def read(person: Person) -> None:
        reading = asyncio.create_task(
            world.cache.reserve(person.tenant, person.subject_ref, now=world.clock(), tried_on="6")
        )
        if random.random() < 0.5:
            await asyncio.sleep(random.uniform(0, 0.004))
            reading.cancel()
        await asyncio.wait([reading])
        if reading.cancelled():
            numbers["cancelled_replies"] += 1
        elif isinstance(reading.exception(), CacheDown):
            numbers["cache_down"] += 1
        elif isinstance(answer := reading.result(), Reserved):
            numbers["replies"] += 1
            ids = {known.authenticator_id for known in answer.copy.authenticators}
            numbers["foreign_replies"] += ids != {person.authenticator_id}

    # People of this part alone, with room for more guesses than a budget allows.
    fresh = [await world.person(crowd[0].tenant) for _ in range(40)]
    application = await world.application(tenant=crowd[0].tenant)
    await asyncio.gather(*(world.verify(application, p, world.code(p)) for p in fresh))
    for _ in range(0, replies, len(fresh)):
        await asyncio.gather(*(read(person) for person in fresh))
        for person in fresh:
            await world.redis.hset(_key(person), "s", "0")


async def _leaked(world: World, crowd: Sequence[Person], charged: Counter[Person]) -> int:
    leaked = 0
    for person in crowd:
        level = float(await world.redis.hget(_key(person), "s") or 0)
        # One a cancelled request, and one a refused one.
        leaked += max(0, math.ceil(level - charged[person] - 0.01))
    return leaked


async def leaked_connections(world: World) -> int:
    """Return how many connections stay in use when nobody asks anything."""
    pool = world.plumbing.app_pool

    async def all_back() -> bool:
        return pool.get_size() == pool.get_idle_size()

    with suppress(TimeoutError):
        await until(all_back, within=5)
    busy = len(world.redis.connection_pool._in_use_connections)
    return pool.get_size() - pool.get_idle_size() + busy


def _key(person: Person) -> str:
    return f"w:{{{person.tenant}/{person.subject_ref}}}"
