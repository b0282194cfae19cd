"""Topics are made by us, before use: the brokers do not make them by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from libs.messaging.kafka.settings import KafkaSettings

_TOPIC_ALREADY_EXISTS = 36


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is to exist; `retention` None keeps everything."""

    name: str
    partitions: int
    compacted: bool
    retention: timedelta | None
    replication: int = 1

    def config(self) -> dict[str, str]:
        """Return the topic's configuration in Kafka's words."""
        keep = "-1" if self.retention is None else str(int(self.retention.total_seconds() * 1000))
        return {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": keep,
            "unclean.leader.election.enable": "false",
            "min.insync.replicas": str(max(1, self.replication - 1)),
        }


async def ensure_topics(settings: KafkaSettings, topics: Sequence[TopicSpec]) -> None:
    """Create what is missing; a topic that exists is left as it is."""
    admin = AIOKafkaAdminClient(**settings.client_options())
    try:
        await admin.start()
        wanted = [
            NewTopic(t.name, t.partitions, t.replication, topic_configs=t.config()) for t in topics
        ]
        answer = await admin.create_topics(wanted)
        for name, code, *_ in answer.topic_errors:
            if code not in (0, _TOPIC_ALREADY_EXISTS):
                raise for_code(code)(name)
    finally:
        await admin.close()
