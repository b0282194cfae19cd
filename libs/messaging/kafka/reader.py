"""Reading a topic without a group: for commands that look, not for services that handle."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import aiokafka

from libs.messaging.kafka.settings import (
    KafkaSettings,
    Record,
    close_within_limit,
    record_from,
)

# A mapping gives offsets by partition; the partitions that it leaves out are read from their end.
Start: TypeAlias = Literal["beginning", "end"] | datetime | Mapping[int, int]


async def read_topic(
    settings: KafkaSettings, topic: str, *, start: Start, follow: bool
) -> AsyncIterator[Record]:
    """Yield a topic's records without a group; ends at the present end unless `follow`."""
    consumer = aiokafka.AIOKafkaConsumer(**settings.client_options(), enable_auto_commit=False)
    try:
        await consumer.start()
        await consumer._client._wait_on_metadata(topic)
        partitions = [
            aiokafka.TopicPartition(topic, number)
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition, offset in (await _starts(consumer, partitions, ends, start)).items():
            # Not seek_to_beginning: aiokafka may put its own reset to the end on top of it.
            consumer.seek(partition, offset)
        while follow or any([await consumer.position(p) < ends[p] for p in partitions]):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                for record in records:
                    if follow or record.offset < ends[partition]:
                        yield record_from(record)
    finally:
        await close_within_limit(consumer.stop())


async def _starts(
    consumer: aiokafka.AIOKafkaConsumer,
    partitions: Sequence[aiokafka.TopicPartition],
    ends: Mapping[aiokafka.TopicPartition, int],
    start: Start,
) -> dict[aiokafka.TopicPartition, int]:
    offsets = dict(ends)
    if start == "beginning":
        offsets = await consumer.beginning_offsets(partitions)
    elif isinstance(start, datetime):
        at = int(start.timestamp() * 1000)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, at))
        offsets |= {partition: place.offset for partition, place in found.items() if place}
    elif isinstance(start, Mapping):
        offsets |= {p: start[p.partition] for p in partitions if p.partition in start}
    return offsets
