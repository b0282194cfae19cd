"""Verification behind a port, on one core, whose budgets let one guess for ever."""

import asyncio
import json
import os
import sys
from pathlib import Path

from deploy.local.ports import free_port
from libs.web.server import http_part
from services.verification import app
from services.verification.domain.budget import Budget
from services.verification.settings import Settings
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import ServiceDatabase
from tests.integration.verification.conftest import running_world


def _boundless(settings: Settings) -> Budget:
    """Return a budget that no flood of wrong codes uses up: each is judged and settled."""
    return Budget(capacity=10**9, per_day=10**6, consecutive=10**9)


async def main(place: str, database: str, redis_url: str, core: str) -> None:
    os.sched_setaffinity(0, {int(core)})
    app.budget_of = _boundless
    stored = ServiceDatabase(RunningServers(**json.loads(place)), database, "verification")
    async with running_world(stored, redis_url, Path("unused"), budget=_boundless) as world:
        port, stop = free_port(), asyncio.Event()
        serve = http_part(world.parts.public, host="127.0.0.1", port=port)
        serving = asyncio.ensure_future(serve(stop))
        print(port, flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.readline)
        stop.set()
        await serving


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
