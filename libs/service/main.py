"""The command of a service: `python -m services.<name> <role>`."""

import asyncio
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import structlog
import uvloop

from libs.logs import configure_logs
from libs.process import Part, run_until_stopped

# What runs in each role; built once, for the role that is asked for.
Roles = Mapping[str, Sequence[Part]]
BuildRoles = Callable[[], AbstractAsyncContextManager[Roles]]

_LOOK_AFTER = 20_000
_LOG = structlog.get_logger("main")


def run_service(
    service: str, arguments: Sequence[str], *, build: BuildRoles, migrate: Callable[[], None]
) -> int:
    """Run one role of a service and return the exit code; `all` runs every role in one process."""
    configure_logs(service=service)
    role = arguments[0] if len(arguments) == 1 else ""
    if role == "migrate":
        migrate()
        _LOG.info("migrated")
        return 0
    if role not in ("api", "consumer", "relay", "all"):
        sys.stderr.write(f"usage: python -m services.{service} api|consumer|relay|migrate|all\n")
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(role, build))
    return 0


async def _run(role: str, build: BuildRoles) -> None:
    async with build() as roles:
        parts = [
            part
            for name, parts in roles.items()
            if name == "every" or role in (name, "all")
            for part in parts
        ]
        _LOG.info("started", role=role)
        # What was made to start with stays: no collection need look at it again.
        gc.collect()
        gc.freeze()
        # What a request makes mostly ends with it; to look every 700 objects is 6 % of its cost.
        gc.set_threshold(_LOOK_AFTER, 50, 50)
        await run_until_stopped(parts)
