"""The fault runs that guess beyond the limit: in a flood, and with a Redis for each process."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
from redis.asyncio import Redis

from deploy.local.valkey import Valkey
from tests.fixtures.fault_proxy import FaultProxy, fault_proxy
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World, running_world
from tests.integration.verification.grounds import ask
from tests.integration.verification.outage_runs import CAPACITY
from tests.integration.verification.runs import Numbers


async def flood_run(one: World, two: World, *, guesses: int, at_once: int) -> Numbers:
    """Send wrong codes for one person to two processes, each from a new caller (R3)."""
    application = await one.application()
    victim = await one.person(application.tenant)
    wrong, numbers, seen = one.wrong_code(victim), Counter[str](guesses=guesses), set[object]()
    left = iter(range(guesses))

    async def attack(world: World) -> None:
        for n in left:
            answer = await _turned_in(world, application, victim, wrong, number=n)
            seen.add(_look_of(answer))
            numbers["errors"] += answer.status_code != 403

    await asyncio.gather(*(attack(world) for world in (one, two) for _ in range(at_once)))
    numbers["evaluated"] = (await one.events(victim)).count("mfa.verification_failed")
    numbers["over_bound"] = max(0, numbers["evaluated"] - CAPACITY)
    numbers["told_apart"] = len(seen) - 1
    return dict(numbers)


async def _turned_in(
    world: World, application: Application, person: Person, code: str, *, number: int
) -> httpx2.Response:
    headers = {
        "Authorization": f"Bearer {application.key}",
        "Idempotency-Key": uuid4().hex,
        "User-Agent": f"attacker/{number}",
        "X-Forwarded-For": f"10.0.{number // 250 % 250}.{number % 250}",
    }
    body = {"subject": person.name, "code": code}
    return await world.public.post("/v1/verify", json=body, headers=headers)


def _look_of(answer: httpx2.Response) -> object:
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "date")
    return answer.status_code, tuple(headers), answer.content


async def split_run(world: World, primary: Valkey, other: Valkey, *, attackers: int) -> Numbers:
    """Stall replication, promote the replica, and let one process go on with the old one (R5).

    Each Redis knows only its own guesses until a settled failure tells it what PostgreSQL has
    counted: above the limit at most the guesses in flight are evaluated, one an attacker.
    """
    application = await world.application()
    victim = await world.person(application.tenant)
    crowd = [await world.person(application.tenant) for _ in range(20)]
    numbers: Counter[str] = Counter(attackers=attackers, bound=CAPACITY + attackers)
    async with fault_proxy(primary.host, primary.port) as link, _replica(link, primary, other):
        everybody = [victim, *crowd]
        await asyncio.gather(*(world.verify(application, p, "000000") for p in everybody))
        await until(lambda: _same_size(primary, other), within=10)
        link.swallow()
        async with Redis.from_url(other.url()) as promoted:
            await ask(promoted, "REPLICAOF", "NO", "ONE")
        async with running_world(world.stored, other.url(), Path("unused")) as two:
            worlds = (world, two)
            await _attack_both(worlds, application, victim, attackers=attackers)
            for person in crowd:
                accepted = await accepted_by(worlds, application, person)
                numbers["accepted_twice"] += accepted > 1
                numbers["refused_by_mistake"] += accepted < 1
    numbers["evaluated"] = (await world.events(victim)).count("mfa.verification_failed")
    numbers["over_limit"] = max(0, numbers["evaluated"] - CAPACITY)
    numbers["over_bound"] = max(0, numbers["evaluated"] - numbers["bound"])
    return dict(numbers)


@asynccontextmanager
async def _replica(link: FaultProxy, primary: Valkey, other: Valkey) -> AsyncIterator[None]:
    async with Redis.from_url(other.url()) as client:
        await client.config_set("masterauth", primary.password)
        await ask(client, "REPLICAOF", "127.0.0.1", link.port)
    yield


async def _same_size(one: Valkey, other: Valkey) -> bool:
    sizes = set()
    for server in (one, other):
        async with Redis.from_url(server.url()) as client:
            sizes.add(await client.dbsize())
    return len(sizes) == 1 and sizes != {0}


async def _attack_both(
    worlds: Sequence[World], application: Application, victim: Person, *, attackers: int
) -> None:
    async def attack(world: World) -> None:
        for _ in range(20):
            await world.verify(application, victim, world.wrong_code(victim))

    await asyncio.gather(*(attack(worlds[n % len(worlds)]) for n in range(attackers)))


async def accepted_by(worlds: Sequence[World], application: Application, person: Person) -> int:
    code = worlds[0].code(person)
    asks = [world.verify(application, person, code) for world in worlds for _ in range(4)]
    return sum(answer.status_code == 200 for answer in await asyncio.gather(*asks))
