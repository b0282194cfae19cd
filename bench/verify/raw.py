"""What the two stores cost at the least: a reserve in Valkey, a commit in PostgreSQL."""

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
from redis.asyncio import Redis

from bench.verify.costs import Meter, used
from bench.verify.ground import Ground

# The shape of services/verification/reserve.py: one hash read, some arithmetic, written back.
_SCRIPT = """
local kept = redis.call('HMGET', KEYS[1], 'c', 's', 't')
local now = tonumber(ARGV[1])
local level = math.max(0, tonumber(kept[2]) - math.max(0, now - tonumber(kept[3])) * ARGV[2])
if level + 1 > tonumber(ARGV[3]) then return {'budget'} end
redis.call('HSET', KEYS[1], 's', tostring(level), 't', string.format('%.6f', now))
return {'ok', kept[1]}
"""
_KEYS = 10_000
_PIPELINE = 32
_SEALED = b"x" * 160
_TABLE = """
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE IF NOT EXISTS bench.row (id int PRIMARY KEY, step bigint NOT NULL)
    WITH (fillfactor = 60);
INSERT INTO bench.row SELECT n, 0 FROM generate_series(0, 9999) AS n ON CONFLICT DO NOTHING;
"""

Once = Callable[[], Awaitable[int]]


@dataclass(frozen=True)
class Raw:
    """How many a second one connection does, and the microseconds of the server for each."""

    rate: float
    cost: float


async def reserves(ground: Ground, *, seconds: float) -> Raw:
    """Reserve again and again, 32 in a pipeline."""
    valkey = ground.servers.valkey
    async with Redis.from_url(valkey.url()) as redis:
        script = await redis.script_load(_SCRIPT)
        names = [f"bench:{number}" for number in range(_KEYS)]
        async with redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hset(name, mapping={"c": _SEALED, "s": 0, "t": 0})
            await pipeline.execute()
        turn = itertools.cycle(names)

        async def once() -> int:
            async with redis.pipeline(transaction=False) as pipeline:
                for _ in range(_PIPELINE):
                    pipeline.evalsha(script, 1, next(turn), time.time(), 0.0002, 10)
                await pipeline.execute()
            return _PIPELINE

        return await _repeat(once, Meter({"it": [valkey.pid]}), seconds)


async def commits(ground: Ground, *, seconds: float) -> Raw:
    """Change and commit one row after another, each with its own write to the disk."""
    connection = await asyncpg.connect(ground.superuser_dsn)
    try:
        await connection.execute(_TABLE)
        change = await connection.prepare("UPDATE bench.row SET step = step + 1 WHERE id = $1")
        turn = itertools.cycle(range(_KEYS))

        async def once() -> int:
            await change.fetch(next(turn))
            return 1

        return await _repeat(once, Meter({"it": [ground.servers.postgres.pid]}), seconds)
    finally:
        await connection.close()


async def _repeat(once: Once, meter: Meter, seconds: float) -> Raw:
    done, began, before = 0, time.perf_counter(), meter.read()
    while (lasted := time.perf_counter() - began) < seconds:
        done += await once()
    spent = used(before, meter.read())["it"]
    return Raw(rate=done / lasted, cost=1e6 * spent / done)
