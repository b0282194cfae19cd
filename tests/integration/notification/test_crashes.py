import asyncio
from contextlib import suppress

import asyncpg
import pytest

from services.notification.store import messages
from tests.integration.notification.world import (
    World,
)

SENDING, SENT = ("sending", None), ("sent", None)
UNKNOWN = ("unknown", "no_answer")


@pytest.mark.fault("R26")
async def test_a_process_that_died_while_sending_leaves_an_unknown_message(world: World) -> None:
    person, reached, never = world.person(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await never.wait()

    world.smtp.before["verdict"] = hold
    await world.hear(world.enrolled(person))
    dying = asyncio.create_task(world.deliver_due())
    await reached.wait()
    dying.cancel()
    with suppress(asyncio.CancelledError):
        await dying
    world.smtp.before.clear()
    never.set()

    assert await world.state(person) == SENDING
    assert await world.deliver_due() == 0
    await world.bury_lapsed()
    assert await world.state(person) == SENDING  # its time is not up
    await world.try_again()
    assert await world.state(person) == UNKNOWN
    assert await world.events(person) == ["mfa.notification_unknown"]
    assert (len(world.smtp.delivered), world.smtp.connections) == (1, 1)


async def test_a_process_that_died_before_sending_costs_nothing(world: World) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    [lost] = await messages.take_due(world.plumbing.worker_pool, most=1)

    await world.try_again()

    assert await world.state(person) == SENT
    # It was only frozen, and wakes up:
    await world.parts.deliver(lost)
    assert await world.state(person) == SENT
    assert (len(world.smtp.delivered), world.smtp.connections) == (1, 1)


async def test_a_process_that_wakes_up_after_its_time_changes_nothing(world: World) -> None:
    person, reached, released = world.person(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await released.wait()

    world.smtp.before["rcpt"] = hold
    world.smtp.rcpt = "450 greylisted"
    await world.hear(world.enrolled(person))
    frozen = asyncio.create_task(world.deliver_due())
    await reached.wait()
    await world.make_due()
    await world.bury_lapsed()
    released.set()
    await frozen

    assert await world.state(person) == UNKNOWN
    assert await world.events(person) == ["mfa.notification_unknown"]
    assert await world.deliver_due() == 0


async def test_an_outcome_waits_for_the_database(world: World) -> None:
    person, name = world.person(), world.stored.database
    admin_url = world.stored.servers.dsn()
    await world.hear(world.enrolled(person))

    async def take_the_database_away() -> None:
        admin = await asyncpg.connect(admin_url)
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )

        async def give_it_back() -> None:
            await asyncio.sleep(0.5)
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await admin.close()

        returning.append(asyncio.create_task(give_it_back()))

    returning: list[asyncio.Task[None]] = []
    world.smtp.before["verdict"] = take_the_database_away

    await world.deliver_due()

    await asyncio.gather(*returning)
    assert await world.state(person) == SENT
    assert await world.events(person) == ["mfa.notification_sent"]


async def test_a_worker_that_is_asked_to_stop_ends_what_it_began(world: World) -> None:
    person, reached, released = world.person(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await released.wait()

    world.smtp.before["verdict"] = hold
    stop = asyncio.Event()
    running = asyncio.create_task(world.parts.worker.run(stop))
    await world.hear(world.enrolled(person))
    await reached.wait()
    stop.set()
    ended, _ = await asyncio.wait({running}, timeout=0.3)
    assert not ended
    released.set()
    await running

    assert await world.state(person) == SENT
