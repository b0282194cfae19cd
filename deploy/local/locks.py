"""File locks, which the kernel releases when the process that holds them dies."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

POLL_SECONDS = 0.05


def try_lock(path: Path) -> int | None:
    """Returns the descriptor that holds the lock, or None where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def unlock(descriptor: int) -> None:
    """Gives the lock back."""
    os.close(descriptor)


@asynccontextmanager
async def exclusive(path: Path) -> AsyncIterator[None]:
    """Waits for the lock and holds it, without blocking the event loop."""
    # No event tells of a lock that another process gave back.
    while (descriptor := try_lock(path)) is None:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        unlock(descriptor)
