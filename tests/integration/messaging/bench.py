"""What each messaging test stands on: plumbing tables, a topic, and a visible effect."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from libs.messaging.cloud_event import CloudEvent, body_without_sequence
from libs.messaging.consumer import ConsumerHealth, ConsumerSettings, Handler, run_consumer
from libs.messaging.kafka import (
    Consumer,
    KafkaSettings,
    Message,
    Producer,
    Record,
    TopicSpec,
    ensure_topics,
    read_topic,
)
from libs.messaging.outbox import announce
from libs.messaging.relay import RelayHealth, RelayLimits, run_relay
from libs.messaging.tables import messaging_tables, tenant_wall
from libs.postgres.pool import Connection, Pool, open_pool, tenant_transaction
from tests.fixtures.servers import Database

TENANT = UUID(int=7)
THING_DONE = "test.thing_done"
# Nothing keeps the effect from being there twice but the code under test.
_EFFECTS = """
CREATE TABLE effect (
    number bigint GENERATED ALWAYS AS IDENTITY, tenant_id uuid NOT NULL, grp text NOT NULL,
    event uuid NOT NULL, key text NOT NULL, sequence bigint NOT NULL);
"""
LEAVE_EFFECT = """
INSERT INTO effect (tenant_id, grp, event, key, sequence) VALUES ($1, $2, $3, $4, $5)
"""


def event_of(key: str, *, tenant: UUID = TENANT, **data: object) -> CloudEvent:
    return CloudEvent(
        id=uuid4(),
        source="/test",
        type=THING_DONE,
        time=datetime.now(UTC),
        tenant=tenant,
        key=key,
        sequence=0,
        subject=None,
        traceparent=None,
        dataschema="/schemas/test.thing_done/1.0",
        data=data,
    )


def value_of(event: CloudEvent, sequence: int = 1) -> bytes:
    return f'{{"sequence":"{sequence}",{body_without_sequence(event)[1:]}'.encode()


@dataclass(frozen=True)
class Bench:
    database: Database
    kafka: KafkaSettings
    topic: str
    app: Pool
    worker: Pool
    group: str = "readers"

    async def announce(self, *events: CloudEvent) -> None:
        for event in events:
            async with tenant_transaction(self.app, event.tenant) as tx:
                await announce(tx, topic=self.topic, event=event)

    async def send(self, *messages: tuple[str, bytes | None]) -> None:
        producer = Producer(self.kafka)
        try:
            sent = await producer.send([Message(self.topic, k.encode(), v) for k, v in messages])
        finally:
            await producer.close()
        assert all(sent)

    async def rewind(self) -> None:
        """Let the group read its topic from the beginning again; none of it may be running."""
        consumer = Consumer(self.kafka, group=self.group, topics=[self.topic])
        try:
            await consumer.start()
            await consumer.commit({(self.topic, partition): 0 for partition in range(4)})
        finally:
            await consumer.close()

    async def records(self, suffix: str = "") -> list[Record]:
        found = read_topic(self.kafka, self.topic + suffix, start="beginning", follow=False)
        return [record async for record in found]

    async def effects(self, group: str | None = None) -> list[asyncpg.Record]:
        return await self.worker.fetch(
            "SELECT event, key, sequence FROM effect WHERE grp = $1 ORDER BY number",
            group or self.group,
        )

    async def has_effects(self, number: int) -> bool:
        return len(await self.effects()) >= number

    async def is_dead(self, number: int) -> bool:
        return len(await self.records(".dead")) >= number

    async def outbox_is_empty(self) -> bool:
        return not await self.worker.fetchval("SELECT EXISTS (SELECT FROM outbox)")

    def leaves_effect(self, group: str | None = None) -> Handler:
        async def leave(tx: Connection, event: CloudEvent) -> None:
            await tx.execute(
                LEAVE_EFFECT,
                event.tenant,
                group or self.group,
                event.id,
                event.key,
                event.sequence,
            )

        return leave

    @asynccontextmanager
    async def relaying(self, limits: RelayLimits | None = None) -> AsyncIterator[RelayHealth]:
        stop, health, producer = asyncio.Event(), RelayHealth(), Producer(self.kafka)
        task = asyncio.create_task(
            run_relay(
                self.worker,
                producer,
                service=self.database.service,
                stop=stop,
                health=health,
                limits=limits or RelayLimits(),
            )
        )
        try:
            yield health
        finally:
            stop.set()
            await task
            await producer.close()

    @asynccontextmanager
    async def consuming(
        self,
        handler: Handler | None = None,
        settings: ConsumerSettings | None = None,
        group: str | None = None,
    ) -> AsyncIterator[ConsumerHealth]:
        stop, health = asyncio.Event(), ConsumerHealth()
        task = asyncio.create_task(
            run_consumer(
                app_pool=self.app,
                worker_pool=self.worker,
                kafka=self.kafka,
                group=group or self.group,
                topics=[self.topic],
                handlers={THING_DONE: handler or self.leaves_effect(group)},
                stop=stop,
                health=health,
                settings=settings or quick(),
            )
        )
        try:
            yield health
        finally:
            stop.set()
            await task


def quick(**changes: object) -> ConsumerSettings:
    waits = {"first_retry": timedelta(milliseconds=50), "longest_retry": timedelta(seconds=1)}
    return ConsumerSettings(**(waits | {"session_timeout": timedelta(seconds=6)} | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def open_bench(
    database: Database, kafka: KafkaSettings, *, partitions: int = 4, compacted: bool = False
) -> AsyncIterator[Bench]:
    topic = f"topic-{uuid4().hex[:12]}"
    await ensure_topics(
        kafka,
        [
            TopicSpec(topic, partitions, compacted=compacted, retention=timedelta(days=1)),
            TopicSpec(f"{topic}.dead", 1, compacted=False, retention=timedelta(days=1)),
        ],
    )
    owner = await asyncpg.connect(database.dsn("owner"))
    try:
        service = database.service
        await owner.execute(messaging_tables(service) + _EFFECTS + tenant_wall("effect", service))
        await owner.execute(
            f"CREATE POLICY worker_reads ON effect TO {service}_worker USING (true);"
            f"GRANT SELECT ON effect TO {service}_worker;"
        )
    finally:
        await owner.close()
    app = await open_pool(database.dsn("app"), name="app", largest=20)
    worker = await open_pool(database.dsn("worker"), name="worker")
    try:
        yield Bench(database, kafka, topic, app, worker)
    finally:
        await app.close()
        await worker.close()


async def until(true: Callable[[], Awaitable[bool]], *, within: float = 30.0) -> None:
    """Wait for a condition, and fail when it does not come true."""
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110 - what happens is in another process
            await asyncio.sleep(0.05)


def order_violations(records: list[Record]) -> int:
    """Count first occurrences of a key's sequence that are not the next one."""
    highest: Counter[str] = Counter()
    violations = 0
    for record in records:
        sequence = int(json.loads(record.value or b"{}")["sequence"])
        if sequence > highest[record.key]:
            violations += sequence != highest[record.key] + 1
            highest[record.key] = sequence
    return violations
