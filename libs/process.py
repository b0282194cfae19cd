"""A service process: what runs in it, and how it ends."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence

import structlog

_LOG = structlog.get_logger("process")

Part = Callable[[asyncio.Event], Awaitable[None]]


async def run_until_stopped(parts: Sequence[Part]) -> None:
    """Run all parts until SIGTERM or SIGINT; a part that crashes ends the process.

    Each part gets the event that asks it to finish what it has begun and return.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(_run(part, stop))
    _LOG.info("stopped")


async def _run(part: Part, stop: asyncio.Event) -> None:
    try:
        await part(stop)
    finally:
        # One part that ends takes the others with it: half a process is worse than none.
        stop.set()
