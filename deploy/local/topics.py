"""The topics of a local system."""

from contracts.topics import ALL_TOPICS
from libs.messaging.kafka import KafkaSettings, TopicSpec, ensure_topics


async def prepare_topics(bootstrap: str, *, replication: int = 1) -> None:
    """Make every topic that is missing."""
    specs = [
        TopicSpec(
            name=topic.name,
            partitions=topic.partitions,
            compacted=topic.compacted,
            retention=topic.retention,
            replication=replication,
        )
        for topic in ALL_TOPICS
    ]
    await ensure_topics(KafkaSettings(bootstrap=bootstrap, client_id="topics"), specs)
