import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from services.notification.store import messages
from tests.integration.notification.world import World, until

_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
_ENDS = ["failed", "sent", "suppressed", "unknown"]
_ADD = """
INSERT INTO message (tenant_id, id, caused_by, subject_ref, template, happened, status, ended)
SELECT $1, gen_random_uuid(), gen_random_uuid(), $1, 'authenticator_added', now(), $2,
       CASE WHEN $2 IN ('pending', 'sending') THEN NULL ELSE now() - $3::interval END
FROM generate_series(1, $4)
"""


async def _add(world: World, status: str, *, ago: timedelta, number: int = 1) -> None:
    await world.rows(_ADD, uuid4(), status, ago, number)


async def _left(world: World) -> list[object]:
    return [row["status"] for row in await world.rows("SELECT status FROM message ORDER BY 1")]


async def _forget_until(world: World, number: int) -> None:
    stop = asyncio.Event()
    forgetting = asyncio.ensure_future(world.parts.forget(stop))

    async def so_many_are_left() -> bool:
        return len(await _left(world)) == number

    await until(so_many_are_left)
    stop.set()
    await forgetting


async def test_what_ended_is_forgotten_after_thirty_days(world: World) -> None:
    for status in _ENDS:
        await _add(world, status, ago=30 * _DAY + _SECOND)
        await _add(world, status, ago=30 * _DAY - 60 * _SECOND)

    await _forget_until(world, 4)

    assert await _left(world) == _ENDS


async def test_how_long_messages_are_kept_is_a_setting(world: World) -> None:
    assert world.settings.messages_kept == 30 * _DAY

    world.clock.forward(30 * _DAY + _SECOND)
    await _add(world, "sent", ago=timedelta(0))

    await _forget_until(world, 0)


async def test_what_has_not_ended_is_never_forgotten(world: World) -> None:
    world.clock.forward(400 * _DAY)
    for status in ("pending", "sending", "sent"):
        await _add(world, status, ago=timedelta(0))

    await _forget_until(world, 2)

    assert await _left(world) == ["pending", "sending"]


async def test_a_long_backlog_goes_in_batches(world: World) -> None:
    await _add(world, "sent", ago=31 * _DAY, number=2500)

    async with asyncio.timeout(20):
        await _forget_until(world, 0)


async def test_two_processes_forget_different_messages(world: World) -> None:
    await _add(world, "sent", ago=31 * _DAY, number=20)
    pool, before = world.plumbing.worker_pool, world.clock() - 30 * _DAY

    deleted = await asyncio.gather(
        *(messages.forget_ended(pool, before=before, most=5) for _ in range(4))
    )

    assert sum(deleted) == 20 - len(await _left(world))
    assert max(deleted) <= 5


@pytest.mark.security("S6")
async def test_not_even_by_mistake_the_worker_forgets_what_has_not_ended(world: World) -> None:
    for status in ("pending", "sending", "sent"):
        await _add(world, status, ago=timedelta(0))

    await world.plumbing.worker_pool.execute("DELETE FROM message")

    assert await _left(world) == ["pending", "sending"]
