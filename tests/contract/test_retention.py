from datetime import timedelta

import pytest

from contracts.topics import ALL_TOPICS, REPLAYABLE_FOR, Topic
from libs.messaging.consumer import ConsumerSettings

_DELETED_TOPICS = [topic for topic in ALL_TOPICS if topic.retention is not None]


def test_a_consumer_knows_what_it_has_handled_for_longer_than_it_can_come_again() -> None:
    assert ConsumerSettings().remembers > REPLAYABLE_FOR


@pytest.mark.parametrize("topic", _DELETED_TOPICS, ids=lambda topic: topic.name)
def test_no_topic_keeps_an_event_for_longer_than_it_can_come_again(topic: Topic) -> None:
    assert topic.retention is not None

    assert topic.retention + timedelta(days=7) < REPLAYABLE_FOR
