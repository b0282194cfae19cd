"""Several pieces of work, of which none keeps the others from their turn."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from libs.postgres.line import FAILURES

Done = TypeVar("Done")


async def in_turn(work: Iterable[Callable[[], Awaitable[Done]]]) -> list[Done]:
    """Do one after the other; what PostgreSQL fails is raised when all had their turn."""
    done: list[Done] = []
    failed: Exception | None = None
    for one in work:
        try:
            done.append(await one())
        except FAILURES as error:
            failed = error
    if failed is not None:
        raise failed
    return done
