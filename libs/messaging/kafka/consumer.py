"""A member of a consumer group that commits by hand."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import aiokafka

from libs.messaging.kafka.settings import (
    KafkaSettings,
    Place,
    Record,
    close_within_limit,
    record_from,
)

_ANSWER_LIMIT = 10.0


class Consumer:
    """A member of a group that commits by hand; after any error, close it and make another."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        topics: Sequence[str],
        group_instance_id: str | None = None,
        session_timeout: timedelta = timedelta(seconds=10),
        max_poll_interval: timedelta = timedelta(minutes=5),
    ) -> None:
        self._following: dict[Place, int] = {}
        session = int(session_timeout.total_seconds() * 1000)
        self._consumer = aiokafka.AIOKafkaConsumer(
            *topics,
            **settings.client_options(),
            group_id=group,
            group_instance_id=group_instance_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session,
            heartbeat_interval_ms=session // 4,
            max_poll_interval_ms=int(max_poll_interval.total_seconds() * 1000),
            metadata_max_age_ms=30_000,  # also how soon a topic made later is noticed
        )

    async def start(self) -> None:
        await self._consumer.start()

    async def poll(self, *, wait: timedelta, most: int) -> dict[Place, list[Record]]:
        """Return new records by partition; nothing after `wait`."""
        seconds = wait.total_seconds()
        async with asyncio.timeout(seconds + _ANSWER_LIMIT):
            found = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=most)
        for partition, records in found.items():
            self._following[(partition.topic, partition.partition)] = records[-1].offset + 1
        return {(p.topic, p.partition): [record_from(r) for r in rs] for p, rs in found.items()}

    def pause(self) -> None:
        """Let polls return nothing, while they still show that this member lives."""
        self._consumer.pause(*self._consumer.assignment())

    def resume(self) -> None:
        self._consumer.resume(*self._consumer.paused())

    def seek(self, place: Place, offset: int) -> None:
        """Read on from `offset`, if the partition is still ours."""
        partition = aiokafka.TopicPartition(*place)
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, offset)
            self._following[place] = offset

    async def commit(self, next_offsets: Mapping[Place, int]) -> None:
        """Commit for the partitions that are still ours; after a rebalance this may raise."""
        ours = self._consumer.assignment()
        offsets = {aiokafka.TopicPartition(*place): at for place, at in next_offsets.items()}
        offsets = {partition: at for partition, at in offsets.items() if partition in ours}
        if offsets:
            async with asyncio.timeout(_ANSWER_LIMIT):
                await self._consumer.commit(offsets)

    def lag(self) -> int:
        """Return how many records are behind, as far as the last fetches told."""
        behind = 0
        for partition in self._consumer.assignment():
            high = self._consumer.highwater(partition)
            following = self._following.get((partition.topic, partition.partition))
            if high is not None and following is not None:
                behind += max(0, high - following)
        return behind

    async def lag_at_broker(self) -> int:
        """Ask the brokers how many records are behind: the truth when fetching is stuck."""
        ours = list(self._consumer.assignment())
        async with asyncio.timeout(_ANSWER_LIMIT):
            ends = await self._consumer.end_offsets(ours)
            return sum([max(0, ends[p] - await self._consumer.position(p)) for p in ours])

    async def end(self, place: Place) -> int:
        """Ask the broker for the offset that the next record of a partition will have."""
        partition = aiokafka.TopicPartition(*place)
        async with asyncio.timeout(_ANSWER_LIMIT):
            ends: dict[aiokafka.TopicPartition, int] = await self._consumer.end_offsets([partition])
        return ends[partition]

    async def close(self) -> None:
        await close_within_limit(self._consumer.stop())
