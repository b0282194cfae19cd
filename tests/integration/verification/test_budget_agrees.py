"""The bucket stands in Python, in Lua and in SQL; the three must never differ."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from libs.postgres.pool import tenant_transaction
from services.verification.app import budget_of
from services.verification.domain.budget import Family, Spent, fits, level_at, wait_after
from services.verification.reserve import (
    Cache,
    CachedAuthenticator,
    Cold,
    Copy,
    Refusal,
    Reserved,
    prices,
)
from services.verification.store import subjects as store
from tests.integration.verification.conftest import World, settings_for


def cached(factor: str, digits: int) -> CachedAuthenticator:
    return CachedAuthenticator(uuid4(), factor, 1, b"", "SHA1", digits, None, -1)


async def count(
    world: World, cache: Cache, place: tuple[UUID, UUID], failures: int, at: datetime
) -> None:
    """Let Redis and PostgreSQL know of so many failures in a row."""
    cache.tell_failed(*place, version=1, consecutive=failures, level=0.0, at=at)
    async with tenant_transaction(world.plumbing.app_pool, place[0]) as tx:
        await tx.execute(
            "UPDATE subject SET consecutive = $2, failed_at = greatest(failed_at, $3)"
            " WHERE id = $1",
            place[1],
            failures,
            at,
        )


@pytest.mark.security("S2")
async def test_python_lua_and_sql_agree_on_every_guess(world: World, tmp_path: Path) -> None:
    budget = budget_of(settings_for(world.stored, "redis://x", tmp_path))
    cache = Cache(world.redis, budget)
    tenant, subject = uuid4(), uuid4()
    now = datetime(2026, 11, 23, tzinfo=UTC)
    spent = Spent(0.0, datetime.fromtimestamp(0, UTC))
    async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
        await store.lock_subject(tx, tenant, subject)
    enrolled = (cached("totp", 6), cached("hotp", 6), cached("hotp", 8), cached("pin", 6))
    await cache.fill(
        tenant, subject, copy=Copy(1, None, (), True, enrolled), level=0.0, at=now, consecutive=0
    )
    tried = {"6": 6, "8": 1, "7": 1, "r": 1, uuid4().hex: 1} | {
        one.authenticator_id.hex: weight for one, weight in zip(enrolled, (1, 4, 1, 1), strict=True)
    }
    chance = random.Random(20261123)
    failed_at = spent.at

    for _ in range(400):
        now += timedelta(seconds=chance.choice([0, 1, 29, 31, 60, 1800, 5000, 9000, -30]))
        failures = chance.choice([0, 0, 4, 5, 6, 8, 11, 13, 49, 50])
        failed_at = max(failed_at, now - timedelta(seconds=chance.choice([0, 29, 31, 100, 4000])))
        await count(world, cache, (tenant, subject), failures, failed_at)
        on = chance.choice(list(tried))
        level, weight = level_at(spent, now, budget), prices(enrolled).get(on, 1)
        waited = failures < 5 or now - failed_at >= wait_after(failures, budget)
        expected = failures < 50 and waited and fits(level, weight, budget)
        if expected:
            spent = Spent(level + weight, max(now, spent.at))
        in_redis = await cache.reserve(tenant, subject, now=now, tried_on=on)
        async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
            in_sql = await store.charge(
                tx, subject, weight, now=now, budget=budget, family=Family.CODES
            )

        assert weight == tried[on]
        assert isinstance(in_redis, Reserved if expected else Refusal)
        assert not isinstance(in_redis, Cold)
        assert in_redis.weight == (weight if failures < 50 and waited else 1)
        assert in_sql is expected
    await cache.drained()


async def test_a_guess_is_given_back_though_the_copy_was_dropped_meanwhile(world: World) -> None:
    tenant, subject = uuid4(), uuid4()
    now = datetime(2026, 11, 23, tzinfo=UTC)
    await world.cache.fill(
        tenant, subject, copy=Copy(1, None, (), True, ()), level=0.0, at=now, consecutive=0
    )
    await world.cache.reserve(tenant, subject, now=now, tried_on="6")

    await world.cache.tell_changed(tenant, subject, version=2)
    world.cache.refund(tenant, subject, accepted=True, weight=1)
    await world.cache.drained()

    assert await world.redis.hget(f"w:{{{tenant}/{subject}}}", "s") == b"0"


async def test_a_load_gives_no_guess_back_that_only_redis_has_charged(world: World) -> None:
    tenant, subject = uuid4(), uuid4()
    now = datetime(2026, 11, 23, tzinfo=UTC)
    for version in (1, 2):
        await world.cache.fill(
            tenant,
            subject,
            copy=Copy(version, None, (), True, ()),
            level=0.0,
            at=now,
            consecutive=0,
        )
        if version == 1:
            for _ in range(3):
                await world.cache.reserve(tenant, subject, now=now, tried_on="6")
            await world.cache.tell_changed(tenant, subject, version=2)

    assert await world.redis.hget(f"w:{{{tenant}/{subject}}}", "s") == b"3"
