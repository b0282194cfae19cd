"""An idempotent producer that keeps order per partition and is made anew whenever it is in doubt.

aiokafka never expires an idempotent batch (it retries until the broker is back) and stays stuck
after OutOfOrderSequenceNumber (its issue 1017). So every wait here has a limit, what was not
acknowledged in time is *unknown* and the caller's to send again, and the producer is thrown away.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import aiokafka
from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from aiokafka.partitioner import murmur2

from libs.messaging.kafka.settings import BROKER_ERRORS, KafkaSettings, Place, close_within_limit

logger = logging.getLogger(__name__)

_BATCH_BYTES = 256 * 1024
_LARGEST_MESSAGE = 1_000_000  # below the brokers' message.max.bytes of 1,048,588
_TOPIC_HELD_FOR = 10.0
_TOPIC_ERRORS = (UnknownTopicOrPartitionError, TopicAuthorizationFailedError)


@dataclass(frozen=True, slots=True)
class Message:
    """One record to send; the same key always goes to the same partition."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Producer:
    """Sends messages and says which were acknowledged by all in-sync replicas."""

    def __init__(self, settings: KafkaSettings, *, limit: timedelta = timedelta(seconds=5)) -> None:
        self._settings = settings
        self._limit = limit.total_seconds()
        self._producer: aiokafka.AIOKafkaProducer | None = None
        self._held_topics: dict[str, float] = {}
        self.reachable = True
        self.renewals = 0

    async def send(self, messages: Sequence[Message]) -> list[bool]:
        """Send within the limit; True for each message that is surely in the log.

        Messages of one partition go out in the order given, and nothing of a partition goes out
        after one of its messages failed.
        """
        acknowledged = [False] * len(messages)
        deadline = asyncio.get_running_loop().time() + self._limit
        try:
            async with asyncio.timeout_at(deadline):
                producer = await self._started()
            groups = await self._by_partition(producer, messages, deadline)
        except BROKER_ERRORS as error:
            await self._discard(error)
            return acknowledged
        sending = [
            _send_partition(producer, place, [messages[i] for i in group], deadline)
            for place, group in groups.items()
        ]
        outcomes = await asyncio.gather(*sending)
        for group, (count, _) in zip(groups.values(), outcomes, strict=True):
            for index in group[:count]:
                acknowledged[index] = True
        failure = next((error for _, error in outcomes if error is not None), None)
        self.reachable = failure is None
        if failure is not None:
            await self._discard(failure)
        return acknowledged

    async def close(self) -> None:
        """Let go of the brokers without waiting for what is not acknowledged."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        producer._closed = True  # its own stop() would wait for the batches that we gave up
        with contextlib.suppress(asyncio.CancelledError):
            await close_within_limit(producer._sender.close())
        await close_within_limit(producer.client.close())

    async def _started(self) -> aiokafka.AIOKafkaProducer:
        if self._producer is not None:
            sender = self._producer._sender.sender_task
            if sender is None or sender.done():
                await self.close()
        if self._producer is None:
            self._producer = aiokafka.AIOKafkaProducer(
                **self._settings.client_options(),
                enable_idempotence=True,
                acks="all",
                max_batch_size=_BATCH_BYTES,
            )
            self.renewals += 1
            await self._producer.start()
        return self._producer

    async def _discard(self, error: BaseException) -> None:
        self.reachable = False
        logger.warning("Producer given up", extra={"cause": type(error).__name__})
        await self.close()

    async def _by_partition(
        self, producer: aiokafka.AIOKafkaProducer, messages: Sequence[Message], deadline: float
    ) -> dict[Place, list[int]]:
        counts = {
            topic: await self._partitions(producer, topic, deadline)
            for topic in dict.fromkeys(message.topic for message in messages)
        }
        groups: dict[Place, list[int]] = {}
        too_large: set[tuple[str, bytes]] = set()
        for index, message in enumerate(messages):
            if len(message.value or b"") > _LARGEST_MESSAGE:
                logger.error("Message too large to send", extra={"topic": message.topic})
                too_large.add((message.topic, message.key))
            count = counts[message.topic]
            if count and (message.topic, message.key) not in too_large:
                place = (message.topic, _partition(message.key, count))
                groups.setdefault(place, []).append(index)
        return groups

    async def _partitions(
        self, producer: aiokafka.AIOKafkaProducer, topic: str, deadline: float
    ) -> int:
        now = asyncio.get_running_loop().time()
        if self._held_topics.get(topic, 0) > now:
            return 0
        try:
            # Half of the time is left for the topics that exist.
            async with asyncio.timeout_at(now + (deadline - now) / 2):
                return len(await producer.partitions_for(topic))
        except (*_TOPIC_ERRORS, TimeoutError) as error:
            logger.error("Topic not usable", extra={"topic": topic, "cause": type(error).__name__})
            self._held_topics[topic] = now + _TOPIC_HELD_FOR
            return 0


async def _send_partition(
    producer: aiokafka.AIOKafkaProducer, place: Place, messages: Sequence[Message], deadline: float
) -> tuple[int, BaseException | None]:
    """Return how many of the messages, from the first, are acknowledged."""
    sent = 0
    try:
        while sent < len(messages):
            async with asyncio.timeout_at(deadline):
                batch = producer.create_batch()
                taken = _fill(batch, messages[sent:])
                delivery = await producer.send_batch(batch, place[0], partition=place[1])
                await delivery
            sent += taken
    except BROKER_ERRORS as error:
        return sent, error
    return sent, None


def _fill(
    batch: aiokafka.producer.message_accumulator.BatchBuilder, rest: Sequence[Message]
) -> int:
    for taken, message in enumerate(rest):
        added = batch.append(
            key=message.key, value=message.value, timestamp=None, headers=list(message.headers)
        )
        if added is None:
            return taken
    return len(rest)


@lru_cache(maxsize=65_536)
def _partition(key: bytes, count: int) -> int:
    """Choose as Kafka's own default partitioner does (pure Python: 20 µs, hence the cache)."""
    return int(murmur2(key) & 0x7FFFFFFF) % count
