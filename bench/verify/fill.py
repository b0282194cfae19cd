"""Fills the cache as verification does when it asks for somebody first, without asking."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg

from deploy.local.process import Progress
from libs.postgres.pool import Connection
from services.verification.cluster_map import is_cluster
from services.verification.domain.budget import Budget
from services.verification.reserve import Cache, CachedAuthenticator, Copy, open_cluster, open_redis

_PORTION = 2_000
_SAY_EVERY = 250_000
# The defaults of WATCHWORD_VERIFICATION_GUESSES_...
_BUDGET = Budget(capacity=10, per_day=20, consecutive=50)
_ROWS = """
SELECT s.tenant_id, s.id AS subject, s.cache_version, s.unlocked_version, s.spent, s.spent_at,
    s.consecutive, s.failed_at, s.user_type, s.groups,
    a.id AS authenticator, a.factor, a.epoch, a.sealed, a.algorithm,
    a.digits, a.period, a.last_step
FROM verification.subject s
JOIN verification.authenticator a ON a.tenant_id = s.tenant_id AND a.subject_ref = s.id
"""


async def fill_cache(watcher: Connection, url: str, on_progress: Progress) -> int:
    """Put everybody into a Valkey, or a cluster of them; return how many that are."""
    filled = 0
    async with AsyncExitStack() as stack, watcher.transaction():
        redis = open_cluster(url) if is_cluster(url) else open_redis(url)
        cache = Cache(await stack.enter_async_context(redis), _BUDGET)
        stack.push_async_callback(cache.drained)
        cursor = await watcher.cursor(_ROWS)
        while rows := await cursor.fetch(_PORTION):
            await asyncio.gather(*(_fill(cache, row) for row in rows))
            filled += len(rows)
            if filled % _SAY_EVERY == 0:
                on_progress(f"the cache knows {filled:,} people")
    return filled


async def _fill(cache: Cache, row: asyncpg.Record) -> None:
    kept = CachedAuthenticator(
        authenticator_id=row["authenticator"],
        factor=row["factor"],
        epoch=row["epoch"],
        sealed=row["sealed"],
        algorithm=row["algorithm"],
        digits=row["digits"],
        period=row["period"],
        last_step=row["last_step"],
    )
    await cache.fill(
        row["tenant_id"],
        row["subject"],
        copy=Copy(
            row["cache_version"],
            row["user_type"],
            tuple(row["groups"]),
            row["attributes_known"],
            (kept,),
        ),
        level=row["spent"],
        at=row["spent_at"],
        consecutive=row["consecutive"],
        failed_at=row["failed_at"],
        unlocked_version=row["unlocked_version"],
    )
