"""The table: what each kind of request costs, beside a FastAPI route that does nothing."""

import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from bench.verify.conditions import conditions
from bench.verify.costs import Others
from bench.verify.ground import open_ground, running
from bench.verify.measure import Measured, Measuring
from bench.verify.plan import Plan
from bench.verify.seed import seed
from deploy.local.process import Progress


async def measure(
    plan: Plan, overrides: Mapping[str, str], say: Progress
) -> tuple[Measured, Mapping[str, object]]:
    """Measure in a folder that is deleted afterwards; return what, and under which conditions."""
    people = plan.crowd(secrets.token_bytes(32))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with open_ground(Path(folder), overrides, say) as ground:
            key = await seed(ground.place, people, say)
            watcher = await asyncpg.connect(ground.superuser_dsn)
            try:
                async with running(ground) as run:
                    measuring = Measuring(plan, run, watcher, people=people, key=key)
                    others = Others()
                    measured = await measuring.everything(say)
                    measured.foreign_cores = others.cores()
                    return measured, conditions(plan, run, measured)
            finally:
                await watcher.close()
