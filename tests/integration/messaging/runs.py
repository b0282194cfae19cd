"""The fault runs of the event stream; each returns its numbers, for tests and for `make chaos`."""

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import Sequence

from deploy.local.kafka import Kafka
from libs.messaging.consumer import ConsumerHealth
from libs.messaging.outbox import announce
from libs.postgres.pool import tenant_transaction
from tests.integration.messaging.bench import (
    TENANT,
    Bench,
    event_of,
    order_violations,
    until,
    value_of,
)
from tests.integration.messaging.processes import consumer_process, relay_process

# Many times the lease of the relays that are frozen here.
_THEFT_LIMIT = 10.0

Numbers = dict[str, int]


class _RolledBackError(Exception):
    pass


async def commit_order_run(bench: Bench, *, writers: int, rounds: int, keys: int) -> Numbers:
    """Race writers of overlapping keys, with one forgotten transaction, against the relay."""
    forgotten_committed = asyncio.Event()
    written: list[str] = []

    async def forget() -> None:
        async with tenant_transaction(bench.app, TENANT) as tx:
            event = event_of("forgotten")
            await announce(tx, topic=bench.topic, event=event)
            await forgotten_committed.wait()
        written.append(str(event.id))

    async with bench.relaying() as health, asyncio.TaskGroup() as group:
        group.create_task(forget())
        writing = [
            group.create_task(write_randomly(bench, written, rounds=rounds, keys=keys))
            for _ in range(writers)
        ]
        await asyncio.gather(*writing)
        # All but the forgotten one get out while it is still open.
        await until(lambda: _drained(bench, len(written), health.sent))
        forgotten_committed.set()
    async with bench.relaying():
        await until(bench.outbox_is_empty)
    return await _log_numbers(bench, written)


async def relay_death_run(bench: Bench, *, deaths: int) -> Numbers:
    """Kill the relay between sending and deleting, again and again, under load."""
    written: list[str] = []
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(write_until(bench, written, done, keys=20))
        for _ in range(deaths):
            async with relay_process(bench, "die") as relay, asyncio.timeout(30):
                assert await relay.wait() == -signal.SIGKILL
        done.set()
    async with bench.relaying():
        await until(bench.outbox_is_empty)
    return await _log_numbers(bench, written) | {"deaths": deaths}


async def lease_theft_run(bench: Bench, *, thefts: int) -> Numbers:
    """Freeze the active relay past its lease, so that two are active when it thaws."""
    written: list[str] = []
    done = asyncio.Event()
    async with (
        relay_process(bench, "slow") as first,
        relay_process(bench, "slow") as second,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(write_until(bench, written, done, keys=20))
        epoch, stolen = await _epoch(bench, above=0), 0
        for number in range(thefts):
            # One of them is active: only the first freeze can hit the other, and steals nothing.
            frozen = (first, second)[number % 2]
            frozen.send_signal(signal.SIGSTOP)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_THEFT_LIMIT):
                    epoch = await _epoch(bench, above=epoch)
                    stolen += 1
            frozen.send_signal(signal.SIGCONT)
        done.set()
    async with bench.relaying():
        await until(bench.outbox_is_empty)
    return await _log_numbers(bench, written) | {"thefts": stolen}


async def broker_fault_run(bench: Bench, broker: Kafka, *, rounds: int, frozen: float) -> Numbers:
    """Kill and freeze the only broker under load; writers go on, and all effects come once."""
    written: list[str] = []
    done = asyncio.Event()
    async with bench.relaying() as relay, bench.consuming() as consumer:
        async with asyncio.TaskGroup() as group:
            group.create_task(write_until(bench, written, done, keys=20))
            for _ in range(rounds):
                await until(lambda: bench.has_effects(len(written) // 2))
                await broker.kill()
                await broker.start()
                await until(lambda: bench.has_effects(len(written) // 2), within=60)
                broker.pause()
                await asyncio.sleep(frozen)
                broker.resume()
            done.set()
        await until(bench.outbox_is_empty, within=60)
        await until(lambda: bench.has_effects(len(written)), within=60)
    log = await _log_numbers(bench, written)
    return (
        log
        | await _effect_numbers(bench, written)
        | {
            "relay_failures": relay.failures,
            "consumer_restarts": consumer.restarts,
        }
    )


async def zombie_run(bench: Bench, *, rounds: int, frozen: float) -> Numbers:
    """Kill one consumer and freeze another past its session while a third takes over."""
    written: list[str] = []
    done = asyncio.Event()
    async with bench.relaying(), consumer_process(bench) as zombie:
        async with asyncio.TaskGroup() as group:
            group.create_task(write_until(bench, written, done, keys=20))
            for _ in range(rounds):
                async with consumer_process(bench) as victim:
                    before = len(await bench.effects())
                    await until(lambda: bench.has_effects(before + 50))  # noqa: B023
                    zombie.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(frozen)
                    zombie.send_signal(signal.SIGCONT)
                    victim.kill()
                    await victim.wait()
            done.set()
        await until(bench.outbox_is_empty)
        await until(lambda: bench.has_effects(len(written)), within=60)
    return await _effect_numbers(bench, written)


async def replay_run(bench: Bench, *, events: int) -> Numbers:
    """Send every record twice and swapped with its neighbours, then read the topic once more."""
    sent = [event_of(f"person-{number % 20}") for number in range(events)]
    values = [(event.key, value_of(event, number // 20 + 1)) for number, event in enumerate(sent)]
    late = sorted(values, key=lambda _: random.random())
    await bench.send(*values, *late)
    async with bench.consuming() as live:
        await until(lambda: _reached(live, 2 * events))
    before = await bench.effects()
    await bench.rewind()
    async with bench.consuming() as replayed:
        await until(lambda: _reached(replayed, 2 * events))
    return await _effect_numbers(bench, [str(event.id) for event in sent]) | {
        "changed": int(await bench.effects() != before),
        "dropped": live.duplicates + replayed.duplicates,
    }


async def write_randomly(bench: Bench, written: list[str], *, rounds: int, keys: int) -> None:
    """Commit, or sometimes roll back, transactions of random length."""
    for _ in range(rounds):
        event = event_of(f"person-{random.randrange(keys)}")
        try:
            async with tenant_transaction(bench.app, TENANT) as tx:
                await asyncio.sleep(random.uniform(0, 0.01))
                await announce(tx, topic=bench.topic, event=event)
                await asyncio.sleep(random.uniform(0, 0.02))
                if random.random() < 0.1:
                    raise _RolledBackError
            written.append(str(event.id))
        except _RolledBackError:
            pass


async def write_until(bench: Bench, written: list[str], done: asyncio.Event, *, keys: int) -> None:
    """Write at some tens of transactions a second until told to stop."""
    while not done.is_set():
        await write_randomly(bench, written, rounds=10, keys=keys)


async def _drained(bench: Bench, announced: int, sent: int) -> bool:
    return sent >= announced and await bench.outbox_is_empty()


async def _reached(health: ConsumerHealth, records: int) -> bool:
    return health.handled + health.duplicates >= records


async def _epoch(bench: Bench, *, above: int) -> int:
    async def epoch() -> int:
        return int(await bench.worker.fetchval("SELECT coalesce(max(epoch), 0) FROM relay_lease"))

    async def higher() -> bool:
        return await epoch() > above

    await until(higher)
    return await epoch()


async def _log_numbers(bench: Bench, written: Sequence[str]) -> Numbers:
    records = await bench.records()
    seen = Counter(record.headers["ce_id"] for record in records)
    return {
        "written": len(written),
        "lost": len(set(written) - set(seen)),
        "never_committed": len(set(seen) - set(written)),
        "order_violations": order_violations(records),
        "duplicates": len(records) - len(seen),
    }


async def _effect_numbers(bench: Bench, written: Sequence[str]) -> Numbers:
    effects = Counter(str(row["event"]) for row in await bench.effects())
    return {
        "written": len(written),
        "without_effect": len(set(written) - set(effects)),
        "twice": sum(count > 1 for count in effects.values()),
    }
