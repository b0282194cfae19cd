"""Verification on a Redis Cluster of three masters: slots that move, masters that die."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from deploy.local.valkey import Valkey
from services.verification.cluster_map import Cluster, is_cluster, slot_of
from services.verification.domain.budget import Budget
from services.verification.reserve import Cache, Cold, Copy, NotSafeToUse, Reserved, open_cluster
from services.verification.script_calls import CacheDown
from tests.fixtures.services import MakeDatabase
from tests.integration.messaging.bench import until
from tests.integration.verification import grounds
from tests.integration.verification.conftest import Person, World, running_world
from tests.integration.verification.grounds import ask

BUDGET = Budget(capacity=10, per_day=20, consecutive=50)
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def no_leftovers() -> Iterator[None]:
    """Let go of torn connections here, where nobody minds that they were not closed in order."""
    yield
    gc.collect()


@dataclass
class Ground:
    """Verification, the masters under it, and a client of each."""

    world: World
    nodes: list[Valkey]
    clients: list[Redis]
    cluster: Cluster

    async def owner(self, person: Person) -> int:
        """Return which of the nodes serves a person's slot."""
        host, port = self.cluster.master_of(slot_of(key_of(person)))
        return [(node.host, node.port) for node in self.nodes].index((host, port))

    async def reserved(self, person: Person) -> bool:
        """Tell whether the cluster, and not PostgreSQL, has charged a guess."""
        place = (person.tenant, person.subject_ref)
        answer = await self.world.cache.reserve(*place, now=self.world.clock(), tried_on="6")
        return isinstance(answer, Reserved)


def key_of(person: Person) -> str:
    return f"w:{{{person.tenant}/{person.subject_ref}}}"


def cluster_url(node: Valkey) -> str:
    return node.url().replace("redis://", "redis+cluster://")


@pytest.fixture
async def ground(service_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Ground]:
    async with opened(service_database, tmp_path) as made:
        yield made


@asynccontextmanager
async def opened(service_database: MakeDatabase, folder: Path) -> AsyncIterator[Ground]:
    stored = await service_database("verification")
    async with grounds.own_cluster(folder / "cluster") as nodes:
        url = cluster_url(nodes[0])
        assert is_cluster(url)
        assert not is_cluster(nodes[0].url())
        clients = [Redis.from_url(node.url(), socket_timeout=2) for node in nodes]
        async with (
            open_cluster(url) as cluster,
            running_world(stored, nodes[0].url(), folder, cluster=cluster) as world,
        ):
            yield Ground(world, nodes, clients, cluster)
        for client in clients:
            await client.aclose()


async def test_judges_people_of_all_slots_at_once(ground: Ground) -> None:
    world = ground.world
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(24)]

    right = await asyncio.gather(*(world.verify(application, p, world.code(p)) for p in crowd))
    again = await asyncio.gather(*(world.verify(application, p, world.code(p)) for p in crowd))

    assert [answer.status_code for answer in right] == [200] * len(crowd)
    assert [answer.status_code for answer in again] == [403] * len(crowd)
    assert {await ground.owner(person) for person in crowd} == {0, 1, 2}
    # It was the cluster that charged them, each in its place; replays cost a guess.
    await world.cache.drained()
    for person in crowd:
        client = ground.clients[await ground.owner(person)]
        assert float(await client.hget(key_of(person), "s") or 0) == pytest.approx(1, abs=0.01)


async def test_a_budget_holds_across_slots(ground: Ground) -> None:
    world = ground.world
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(6)]

    await asyncio.gather(
        *(world.verify(application, p, world.wrong_code(p)) for p in crowd for _ in range(30))
    )

    for person in crowd:
        assert (await world.events(person)).count("mfa.verification_failed") == 10


async def test_each_master_is_told_the_scripts_it_forgot(ground: Ground) -> None:
    world = ground.world
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(12)]
    await asyncio.gather(*(world.verify(application, p, world.code(p)) for p in crowd))
    for client in ground.clients:
        await client.script_flush()

    assert all(await asyncio.gather(*(ground.reserved(person) for person in crowd)))


async def test_a_slot_that_moves_is_followed(ground: Ground) -> None:
    world = ground.world
    application = await world.application()
    person = await world.person(application.tenant)
    await world.verify(application, person, world.code(person, steps=-1))
    slot, old = slot_of(key_of(person)), await ground.owner(person)
    new = (old + 1) % 3
    source, target = ground.clients[old], ground.clients[new]
    ids = [await name_of(source), await name_of(target)]

    await ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    await ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    there_still = await ground.reserved(person)
    # ASK: this key has gone, the slot has not.
    node = ground.nodes[new]
    for key in (key_of(person), f"{key_of(person)}r"):
        place = (node.host, node.port, key, 0, 1000, "AUTH", node.password)
        await ask(source, "MIGRATE", *place)
    on_its_way = await ground.reserved(person)
    answer = await world.verify(application, person, world.code(person))
    # MOVED: now the slot has gone too.
    for client in (target, source):
        await ask(client, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    arrived = await ground.reserved(person)

    assert (there_still, on_its_way, arrived) == (True, True, True)
    assert answer.status_code == 200
    # The nodes agree a little later; asked for the slot meanwhile, either says where it is.
    await until(lambda: has_moved(ground, person, new), within=10)
    assert await target.hget(key_of(person), "s") is not None


async def test_people_whose_common_slot_is_half_moved_are_judged_in_one_batch(
    ground: Ground,
) -> None:
    cache, now, tenant, first = ground.world.cache, ground.world.clock(), uuid4(), uuid4()
    slot = slot_of(f"w:{{{tenant}/{first}}}")
    second = next(one for one in iter(uuid4, None) if slot_of(f"w:{{{tenant}/{one}}}") == slot)
    for subject in (first, second):
        await cache.fill(
            tenant, subject, copy=Copy(1, None, (), True, ()), level=0, at=now, consecutive=0
        )
    host, port = ground.cluster.master_of(slot)
    old = [node.port for node in ground.nodes].index(port)
    source, target = ground.clients[old], ground.clients[(old + 1) % 3]
    node = ground.nodes[(old + 1) % 3]
    await ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", await name_of(source))
    await ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", await name_of(target))
    place = (host, node.port, f"w:{{{tenant}/{first}}}", 0, 1000, "AUTH", node.password)
    await ask(source, "MIGRATE", *place)

    answers = await asyncio.gather(
        *(cache.reserve(tenant, one, now=now, tried_on="6") for one in (first, second, first))
    )

    assert answers == [Reserved(Copy(1, None, (), True, ()), 1)] * 3


async def test_without_one_master_the_others_keep_going(ground: Ground) -> None:
    world = ground.world
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(18)]
    await asyncio.gather(*(world.verify(application, p, world.code(p, steps=-1)) for p in crowd))
    dead = await ground.owner(crowd[0])
    lost = [person for person in crowd if await ground.owner(person) == dead]
    kept = [person for person in crowd if person not in lost]
    await ground.nodes[dead].kill()

    begun = time.monotonic()
    answers = await asyncio.gather(*(world.verify(application, p, world.code(p)) for p in crowd))
    took = time.monotonic() - begun

    assert [answer.status_code for answer in answers] == [200] * len(crowd)
    assert took < 2
    assert all(await asyncio.gather(*(ground.reserved(person) for person in kept)))
    with pytest.raises(CacheDown):
        await ground.reserved(lost[0])
    # What is guessed meanwhile is PostgreSQL's to count, and it does.
    wrong = world.wrong_code(lost[0])
    for _ in range(12):
        await world.verify(application, lost[0], wrong)
    assert (await world.events(lost[0])).count("mfa.verification_failed") == 10

    await ground.nodes[dead].start()
    await until(lambda: answering(ground, lost[0]), within=10)


async def name_of(client: Redis) -> str:
    told = await ask(client, "CLUSTER", "MYID")
    assert isinstance(told, bytes)
    return told.decode()


async def has_moved(ground: Ground, person: Person, new: int) -> bool:
    await ground.cluster.learn()
    return await ground.owner(person) == new


async def answering(ground: Ground, person: Person) -> bool:
    place = (person.tenant, person.subject_ref)
    try:
        await ground.world.cache.reserve(*place, now=ground.world.clock(), tried_on="6")
    except CacheDown:
        return False
    return True


async def test_no_cluster_at_all_is_a_redis_that_is_down(
    service_database: MakeDatabase, tmp_path: Path
) -> None:
    stored = await service_database("verification")
    url = "redis+cluster://:word@127.0.0.1:9/0"
    async with (
        open_cluster(url) as cluster,
        running_world(stored, "redis://127.0.0.1:9/0", tmp_path, cluster=cluster) as world,
    ):
        application = await world.application()
        person = await world.person(application.tenant)

        assert (await world.verify(application, person, world.code(person))).status_code == 200
        with pytest.raises(CacheDown):
            await world.cache.refuse_unsafe()


@pytest.mark.security("S13")
async def test_every_master_is_asked_whether_it_may_forget(ground: Ground) -> None:
    await ground.world.cache.refuse_unsafe()
    await ground.clients[2].config_set("maxmemory-policy", "allkeys-lru")
    await ground.nodes[0].kill()

    with pytest.raises(NotSafeToUse, match="allkeys-lru"):
        await ground.world.cache.refuse_unsafe()


async def test_nobody_is_known_in_an_empty_cluster(ground: Ground) -> None:
    cache = Cache(ground.cluster, BUDGET)
    person = await ground.world.person((await ground.world.application()).tenant)
    place = (person.tenant, person.subject_ref)

    assert await cache.reserve(*place, now=ground.world.clock(), tried_on="6") == Cold()
