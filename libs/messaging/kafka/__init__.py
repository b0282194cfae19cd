"""The only door to aiokafka: settings, topics, an idempotent producer, a consumer, a reader."""

from libs.messaging.kafka.consumer import Consumer
from libs.messaging.kafka.producer import Message, Producer
from libs.messaging.kafka.reader import Start, read_topic
from libs.messaging.kafka.settings import BROKER_ERRORS, KafkaSettings, Place, Record
from libs.messaging.kafka.topics import TopicSpec, ensure_topics

__all__ = [
    "BROKER_ERRORS",
    "Consumer",
    "KafkaSettings",
    "Message",
    "Place",
    "Producer",
    "Record",
    "Start",
    "TopicSpec",
    "ensure_topics",
    "read_topic",
]
