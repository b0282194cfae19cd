from datetime import timedelta

import asyncpg
import pytest

from tests.integration.messaging.bench import Bench, event_of, quick, until, value_of

_REMEMBERS = timedelta(days=3)
_OFTEN = quick(remembers=_REMEMBERS, forgets_every=timedelta(milliseconds=100))


async def _remember(bench: Bench, message: str, *, ago: timedelta) -> None:
    await bench.worker.execute(
        "INSERT INTO inbox VALUES ('readers', $1, NULL, now() - $2::interval)", message, ago
    )


async def _remembered(bench: Bench) -> set[str]:
    return {row["message"] for row in await bench.worker.fetch("SELECT message FROM inbox")}


async def test_a_consumer_forgets_what_cannot_come_again_and_nothing_younger(bench: Bench) -> None:
    await _remember(bench, "old", ago=_REMEMBERS + timedelta(seconds=1))
    await _remember(bench, "young", ago=_REMEMBERS - timedelta(minutes=5))

    async def has_forgotten() -> bool:
        return await _remembered(bench) == {"young"}

    async with bench.consuming(settings=_OFTEN):
        await until(has_forgotten)
        await _remember(bench, "another", ago=_REMEMBERS + timedelta(seconds=1))
        await until(has_forgotten)


@pytest.mark.fault("R21")
async def test_what_was_handled_before_it_could_be_forgotten_has_no_second_effect(
    bench: Bench,
) -> None:
    event, last = event_of("ann"), event_of("ann")
    await bench.send(("ann", value_of(event)))
    async with bench.consuming(settings=_OFTEN):
        await until(lambda: bench.has_effects(1))
    await bench.worker.execute(
        "UPDATE inbox SET handled_at = now() - $1::interval", _REMEMBERS - timedelta(minutes=5)
    )
    await bench.rewind()
    await bench.send(("ann", value_of(last, 2)))

    async with bench.consuming(settings=_OFTEN) as health:
        await until(lambda: bench.has_effects(2))

    assert [row["event"] for row in await bench.effects()] == [event.id, last.id]
    assert health.duplicates == 1


async def test_forgetting_outlives_a_lost_database(bench: Bench) -> None:
    await _remember(bench, "old", ago=_REMEMBERS + timedelta(seconds=1))
    dsn = bench.database.servers.dsn(bench.database.service)
    admin, blocker = await asyncpg.connect(dsn), await asyncpg.connect(dsn)

    async def is_forgetting() -> bool:
        ended = await admin.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND query LIKE '%DELETE FROM inbox%'"
        )
        return len(ended) > 0

    async def has_forgotten() -> bool:
        return await _remembered(bench) == set()

    lock = blocker.transaction()
    await lock.start()
    await blocker.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
    async with bench.consuming(settings=_OFTEN):
        await until(is_forgetting)
        await lock.rollback()
        await until(has_forgotten)
    await admin.close()
    await blocker.close()
