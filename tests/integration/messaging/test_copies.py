import asyncio
import json

import msgspec
import pytest

from libs.messaging.cloud_event import CloudEvent, InvalidEvent
from libs.messaging.copies import CHANNEL, copy_age, copy_of, keep_copy
from libs.postgres.pool import tenant_transaction
from tests.integration.messaging.bench import TENANT, Bench, event_of


async def _keep(bench: Bench, event: CloudEvent) -> None:
    async with tenant_transaction(bench.app, event.tenant) as tx:
        await keep_copy("states")(tx, event)


async def _copy(bench: Bench) -> dict[str, object] | None:
    async with tenant_transaction(bench.app, TENANT) as tx:
        return await copy_of(tx, "states", "ann")


async def test_the_highest_version_wins_in_any_order(bench: Bench) -> None:
    for version in (2, 1, 3, 3, 2):
        await _keep(bench, event_of("ann", version=version, colour=f"colour {version}"))

    assert await _copy(bench) == {"version": 3, "colour": "colour 3"}
    async with tenant_transaction(bench.app, TENANT) as tx:
        age = await copy_age(tx, "states", "ann")
    assert age is not None
    assert age.total_seconds() < 60


async def test_what_was_deleted_is_gone_and_stays_gone(bench: Bench) -> None:
    await _keep(bench, event_of("ann", version=1))
    await _keep(bench, event_of("ann", version=3, deleted=True, name="Ann"))
    await _keep(bench, event_of("ann", version=2))

    assert await _copy(bench) is None
    assert "Ann" not in await bench.worker.fetchval("SELECT state::text FROM replica")


async def test_every_process_hears_of_a_change_once(bench: Bench) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with bench.worker.acquire() as connection:

        def hear(*call: object) -> None:
            heard.put_nowait(str(call[3]))

        await connection.add_listener(CHANNEL, hear)
        for version in (1, 1, 2):
            await _keep(bench, event_of("ann", version=version))
        calls = [json.loads(await asyncio.wait_for(heard.get(), 5)) for _ in range(2)]
        await connection.remove_listener(CHANNEL, hear)

    assert calls == [{"topic": "states", "tenant": str(TENANT), "key": "ann"}] * 2
    assert heard.empty()


async def test_state_without_a_version_is_invalid(bench: Bench) -> None:
    broken: list[dict[str, object]] = [
        {},
        {"version": "1"},
        {"version": True},
        {"version": 1, "deleted": 1},
    ]
    for data in broken:
        with pytest.raises(InvalidEvent):
            await _keep(bench, msgspec.structs.replace(event_of("ann"), data=data))
