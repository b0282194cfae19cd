from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner

from libs.messaging.kafka import KafkaSettings, TopicSpec
from libs.messaging.kafka.producer import _partition


@pytest.mark.parametrize("count", [1, 4, 16])
def test_a_key_goes_where_kafkas_own_partitioner_puts_it(count: int) -> None:
    places = list(range(count))
    for _ in range(100):
        key = f"{uuid4()}/{uuid4()}".encode()
        assert _partition(key, count) == DefaultPartitioner()(key, places, places)


def test_a_topic_says_how_long_it_keeps_what() -> None:
    log = TopicSpec("log", 4, compacted=False, retention=timedelta(days=1), replication=3)
    state = TopicSpec("state", 4, compacted=True, retention=None)

    assert (log.config()["cleanup.policy"], log.config()["retention.ms"]) == ("delete", "86400000")
    assert log.config()["min.insync.replicas"] == "2"
    assert (state.config()["cleanup.policy"], state.config()["retention.ms"]) == ("compact", "-1")
    assert state.config()["min.insync.replicas"] == "1"


def test_settings_do_not_show_the_password() -> None:
    settings = KafkaSettings("localhost:9092", sasl_username="watch", sasl_password="word-of-pass")

    assert "word-of-pass" not in repr(settings)
