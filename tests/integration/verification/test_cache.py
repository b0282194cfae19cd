"""What a Redis must be like, and what counts as knowing nothing of a subject."""

from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from contracts.vocabulary import Scope
from services.verification.domain.budget import Budget
from services.verification.reserve import Cache, Cold, NotSafeToUse, Reserved, open_redis
from tests.integration.verification import grounds
from tests.integration.verification.conftest import World, reason_of

BUDGET = Budget(capacity=10, per_day=20, consecutive=50)


@pytest.mark.security("S13")
async def test_a_redis_that_hides_its_configuration_is_not_safe_to_use(tmp_path: Path) -> None:
    async with grounds.own_valkey(tmp_path) as valkey:
        async with Redis.from_url(valkey.url()) as admin:
            await admin.acl_setuser(
                "watchword",
                enabled=True,
                passwords=["+word"],
                keys=["*"],
                categories=["+@all"],
                commands=["-config"],
            )
        url = valkey.url().replace(f":{valkey.password}@", "watchword:word@")
        async with open_redis(url) as redis:
            assert await redis.ping()

            with pytest.raises(NotSafeToUse, match="CONFIG"):
                await Cache(redis, BUDGET).refuse_unsafe()


@pytest.mark.security("S13")
async def test_a_redis_without_the_command_is_not_safe_to_use(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def renamed(_pattern: str) -> object:
        return await world.redis.execute_command("NOCONFIG")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(world.redis, "config_get", renamed)

    with pytest.raises(NotSafeToUse, match="CONFIG"):
        await world.cache.refuse_unsafe()


@pytest.mark.security("S13")
async def test_a_redis_that_may_forget_is_not_safe_to_use(tmp_path: Path) -> None:
    async with grounds.own_valkey(tmp_path) as valkey, open_redis(valkey.url()) as redis:
        cache = Cache(redis, BUDGET)
        await cache.refuse_unsafe()
        await redis.config_set("maxmemory-policy", "allkeys-lru")

        with pytest.raises(NotSafeToUse, match="allkeys-lru"):
            await cache.refuse_unsafe()


@pytest.mark.parametrize("field", ["c", "n"])
async def test_an_entry_that_lacks_something_is_cold_and_loaded_again(
    world: World, field: str
) -> None:
    application = await world.application(scopes=(Scope.VERIFY, Scope.VERIFY_REASONS))
    person = await world.person(application.tenant)
    wrong = world.wrong_code(person)
    await world.verify(application, person, wrong)
    key = f"w:{{{person.tenant}/{person.subject_ref}}}"
    assert await world.redis.hdel(key, field) == 1
    place, now = (person.tenant, person.subject_ref), world.clock()

    assert await world.cache.reserve(*place, now=now, tried_on="6") == Cold()
    assert reason_of(await world.verify(application, person, wrong)) == "wrong_code"
    assert isinstance(await world.cache.reserve(*place, now=now, tried_on="6"), Reserved)
    # Two guesses and the reservation above: the bucket outlived the gap.
    assert float(await world.redis.hget(key, "s") or 0) == pytest.approx(3, abs=0.01)


async def test_a_copy_that_was_contradicted_is_handed_out_no_more(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    await world.verify(application, person, world.code(person))
    place, now = (person.tenant, person.subject_ref), world.clock()
    assert isinstance(await world.cache.reserve(*place, now=now, tried_on="6"), Reserved)

    await world.cache.tell_changed(*place, version=1_000)

    assert await world.cache.reserve(*place, now=now, tried_on="6") == Cold()


async def test_a_copy_that_is_newer_than_postgresql_shuts_nobody_out(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    assert (await world.verify(application, person, world.code(person))).status_code == 200

    # As after a fail-over that has lost the last changes.
    await world.rows("UPDATE subject SET cache_version = 1 RETURNING 1")

    answers = []
    for _ in range(2):
        world.clock.forward(timedelta(seconds=30))
        answers.append((await world.verify(application, person, world.code(person))).status_code)
    assert answers == [200, 200]
