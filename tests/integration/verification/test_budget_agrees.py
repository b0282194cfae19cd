"""The bucket stands in Python, in Lua and in SQL; the three must never differ."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from libs.postgres.pool import tenant_transaction
from services.verification.app import budget_of
from services.verification.domain.budget import Spent, fits, level_at
from services.verification.reserve import Refusal, Reserved
from services.verification.store import subjects as store
from tests.integration.verification.conftest import World, settings_for


async def test_python_lua_and_sql_agree_on_every_guess(world: World, tmp_path: Path) -> None:
    budget = budget_of(settings_for(world.stored, "redis://x", tmp_path))
    tenant, subject = uuid4(), uuid4()
    now = datetime(2026, 11, 23, tzinfo=UTC)
    spent = Spent(0.0, datetime.fromtimestamp(0, UTC))
    async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
        await store.lock_subject(tx, tenant, subject)
    await world.cache.fill(
        tenant, subject, version=1, authenticators=(), level=0.0, at=now, consecutive=0
    )
    chance = random.Random(20261123)

    for _ in range(200):
        now += timedelta(seconds=chance.choice([0, 1, 60, 1800, 5000, -30]))
        level = level_at(spent, now, budget)
        expected = fits(level, 1, budget)
        if expected:
            spent = Spent(level + 1, max(now, spent.at))
        in_redis = await world.cache.reserve(tenant, subject, now=now, named=True)
        async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
            in_sql = await store.charge(tx, subject, 1, now=now, budget=budget)

        assert isinstance(in_redis, Reserved if expected else Refusal)
        assert in_sql is expected


async def test_a_guess_is_given_back_though_the_copy_was_dropped_meanwhile(world: World) -> None:
    tenant, subject = uuid4(), uuid4()
    now = datetime(2026, 11, 23, tzinfo=UTC)
    await world.cache.fill(
        tenant, subject, version=1, authenticators=(), level=0.0, at=now, consecutive=0
    )
    await world.cache.reserve(tenant, subject, now=now, named=True)

    await world.cache.tell_changed(tenant, subject, version=2)
    world.cache.refund(tenant, subject, accepted=True, weight=1)
    await world.cache.drained()

    assert await world.redis.hget(f"w:{{{tenant}/{subject}}}", "s") == b"0"
