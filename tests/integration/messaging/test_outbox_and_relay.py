import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from libs.messaging.kafka import Message, Producer
from libs.messaging.outbox import announce, announce_many, announce_tombstones
from libs.messaging.relay import RelayLimits
from libs.postgres.pool import enter_tenant, tenant_transaction
from tests.integration.messaging.bench import (
    TENANT,
    THING_DONE,
    Bench,
    event_of,
    order_violations,
    quick,
    until,
)


async def test_an_announced_event_reaches_its_topic_with_its_attributes(bench: Bench) -> None:
    event = event_of("tenant/ann", colour="green")

    await bench.announce(event)
    async with bench.relaying() as health:
        await until(bench.outbox_is_empty)

    [record] = await bench.records()
    body = json.loads(record.value or b"")
    assert (body["id"], body["sequence"], body["data"]) == (str(event.id), "1", {"colour": "green"})
    assert record.key == "tenant/ann"
    assert record.headers["content-type"] == "application/cloudevents+json"
    assert record.headers["ce_id"] == str(event.id)
    assert record.headers["ce_source"] == "/test"
    assert record.headers["ce_tenant"] == str(event.tenant)
    assert health.sent == 1


async def test_a_key_has_one_sequence_without_gaps(bench: Bench) -> None:
    await bench.announce(event_of("ann"))
    async with bench.app.acquire() as connection:
        given_up = connection.transaction()
        await given_up.start()
        await enter_tenant(connection, TENANT)
        assert await announce(connection, topic=bench.topic, event=event_of("ann")) == 2
        await given_up.rollback()
    async with tenant_transaction(bench.app, TENANT) as tx:
        assert await announce(tx, topic=bench.topic, event=event_of("ann")) == 2
        assert await announce(tx, topic=bench.topic, event=event_of("bob")) == 1


async def test_a_key_of_two_topics_is_counted_in_each(bench: Bench) -> None:
    async with tenant_transaction(bench.app, TENANT) as tx:
        for sequence in (1, 2):
            assert await announce(tx, topic="log", event=event_of("ann")) == sequence
            assert await announce(tx, topic="state", event=event_of("ann")) == sequence

    assert await bench.worker.fetchval("SELECT count(*) FROM outbox WHERE aggregateid = 'ann'") == 4


async def test_many_at_once_get_the_places_in_which_they_are_given(bench: Bench) -> None:
    await bench.announce(event_of("ann"))
    events = [event_of(key, n=n) for n, key in enumerate(("ann", "bob", "ann", "cat", "ann"))]

    async with tenant_transaction(bench.app, TENANT) as tx:
        await announce_many(tx, TENANT, [(bench.topic, event) for event in events])
    await bench.announce(event_of("ann"))

    rows = await bench.worker.fetch(
        "SELECT aggregateid AS key, sequence, payload FROM outbox ORDER BY aggregateid, sequence"
    )
    said = [(row["key"], row["sequence"], json.loads(row["payload"])) for row in rows]
    assert [(key, sequence, body["data"].get("n")) for key, sequence, body in said] == [
        *(("ann", 1, None), ("ann", 2, 0), ("ann", 3, 2), ("ann", 4, 4), ("ann", 5, None)),
        *(("bob", 1, 1), ("cat", 1, 3)),
    ]
    assert all(body["sequence"] == str(sequence) for _, sequence, body in said)


async def test_many_at_once_from_several_sides_leave_no_gap(bench: Bench) -> None:
    async def say(keys: str) -> None:
        async with tenant_transaction(bench.app, TENANT) as tx:
            await announce_many(tx, TENANT, [(bench.topic, event_of(key)) for key in keys])

    await asyncio.gather(*(say(keys) for keys in ("abc", "cba", "bca", "aab", "cc") * 4))

    rows = await bench.worker.fetch(
        "SELECT aggregateid AS key, array_agg(sequence ORDER BY sequence) AS places FROM outbox"
        " GROUP BY aggregateid ORDER BY aggregateid"
    )
    assert [(row["key"], row["places"]) for row in rows] == [
        (key, list(range(1, 4 * count + 1))) for key, count in (("a", 5), ("b", 4), ("c", 5))
    ]


async def test_what_cannot_be_sent_holds_back_its_key_only(bench: Bench) -> None:
    await bench.announce(event_of("ann"), event_of("ann", filling="x" * 1_100_000))
    await bench.announce(event_of("ann"), event_of("bob"))
    async with tenant_transaction(bench.app, TENANT) as tx:
        await announce(tx, topic=f"no-{bench.topic}", event=event_of("bob"))

    async with bench.relaying() as health:
        await until(lambda: _is(lambda: health.sent >= 2))
        await bench.announce(event_of("cat"))
        await until(lambda: _is(lambda: health.sent >= 3))

    sent = sorted(record.key for record in await bench.records())
    assert sent == ["ann", "bob", "cat"]
    assert await bench.worker.fetchval("SELECT count(*) FROM outbox") == 3


async def test_a_backlog_larger_than_a_batch_gets_out_in_order(bench: Bench) -> None:
    for number in range(40):
        await bench.announce(event_of(f"person-{number % 3}"))

    async with bench.relaying(RelayLimits(batch=7)):
        await until(bench.outbox_is_empty)

    records = await bench.records()
    assert (len(records), order_violations(records)) == (40, 0)


async def test_old_events_raise_an_alarm(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async with tenant_transaction(bench.app, TENANT) as tx:
        await announce(tx, topic=f"no-{bench.topic}", event=event_of("ann"))

    async with bench.relaying(RelayLimits(alarm_after=timedelta(0))) as health:
        await until(lambda: _is(lambda: "Events are not getting out" in caplog.text))

    assert health.backlog == 1
    assert health.oldest_age > timedelta(0)


@pytest.mark.fault("R18")
async def test_a_relay_whose_lease_was_taken_deletes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    send = Producer.send

    async def send_and_lose_lease(self: Producer, messages: Sequence[Message]) -> list[bool]:
        sent = await send(self, messages)
        await bench.worker.execute(
            "UPDATE relay_lease SET epoch = 9, expires = now() + interval '1 s' WHERE epoch = 1"
        )
        return sent

    monkeypatch.setattr(Producer, "send", send_and_lose_lease)
    await bench.announce(event_of("ann"))
    async with bench.relaying():
        await until(bench.outbox_is_empty)

    assert "Relay was fenced" in caplog.text
    assert len(await bench.records()) == 2


async def test_a_lost_database_connection_is_made_again(bench: Bench) -> None:
    async with bench.relaying() as health:
        await until(lambda: _is(lambda: health.active))
        await bench.worker.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
        await bench.announce(event_of("ann"))
        await until(bench.outbox_is_empty)

    assert health.sent == 1


async def _is(true: Callable[[], bool]) -> bool:
    return true()


async def test_events_that_are_announced_at_once_get_out_as_those_announced_alone(
    bench: Bench,
) -> None:
    await bench.announce(event_of("ann"))
    several = [event_of(key, colour=key) for key in ("cat", "ann", "bob")]

    async with tenant_transaction(bench.app, TENANT) as tx:
        await announce_many(tx, TENANT, [(bench.topic, event) for event in several])
    await bench.announce(event_of("ann"))
    async with bench.relaying():
        await until(bench.outbox_is_empty)

    records = await bench.records()
    assert (len(records), order_violations(records)) == (5, 0)
    bodies = [json.loads(record.value or b"") for record in records]
    assert sorted((b["partitionkey"], b["sequence"]) for b in bodies) == [
        *(("ann", "1"), ("ann", "2"), ("ann", "3"), ("bob", "1"), ("cat", "1"))
    ]
    assert {b["id"] for b in bodies} >= {str(event.id) for event in several}
    assert [b["data"] for b in bodies if b["partitionkey"] == "bob"] == [{"colour": "bob"}]


async def test_who_announces_for_the_same_keys_at_once_gets_no_deadlock(bench: Bench) -> None:
    keys = [f"person-{number}" for number in range(50)]

    async def announce_all(order: Sequence[str]) -> None:
        for _ in range(5):
            async with tenant_transaction(bench.app, TENANT) as tx:
                events = [(bench.topic, event_of(key)) for key in order]
                await announce_many(tx, TENANT, events)

    await asyncio.gather(*(announce_all(order) for order in (keys, keys[::-1], keys, keys[::-1])))

    counted = "SELECT count(*), max(sequence) FROM outbox GROUP BY aggregateid"
    assert {tuple(row) for row in await bench.worker.fetch(counted)} == {(20, 20)}


async def test_a_tombstone_follows_what_was_said_of_its_key(bench: Bench) -> None:
    await bench.announce(event_of("ann"), event_of("bob"))
    async with tenant_transaction(bench.app, TENANT) as tx:
        await announce_tombstones(
            tx, TENANT, topic=bench.topic, kind=THING_DONE, keys=["ann", "cat"]
        )

    async with bench.relaying():
        await until(bench.outbox_is_empty)

    by_key: dict[str, list[bool]] = {}
    for record in await bench.records():
        by_key.setdefault(record.key, []).append(record.value is None)
    assert by_key == {"ann": [False, True], "bob": [False], "cat": [True]}


async def test_a_tombstone_of_state_has_no_effect_and_is_no_dead_letter(bench: Bench) -> None:
    await bench.announce(event_of("ann"))
    async with tenant_transaction(bench.app, TENANT) as tx:
        await announce_tombstones(tx, TENANT, topic=bench.topic, kind=THING_DONE, keys=["ann"])
    await bench.announce(event_of("ann"))

    settings = quick(compacted=frozenset({bench.topic}))
    async with bench.relaying(), bench.consuming(settings=settings) as health:
        await until(lambda: bench.has_effects(2))

    assert (health.handled, health.skipped, health.dead, health.parked) == (2, 1, 0, 0)
    assert [row["sequence"] for row in await bench.effects()] == [1, 3]
