"""Every Kafka topic: its key, its retention, who may write and read it."""

from dataclasses import dataclass
from datetime import timedelta

from contracts.vocabulary import Service

EVERY_SERVICE = tuple(Service)

_EVENTS_KEPT = timedelta(days=400)
_DEAD_LETTERS_KEPT = timedelta(days=30)
# Brokers drop whole segments, and write a quiet one for a week (segment.ms): records live longer.
_SEGMENT = timedelta(days=7)
# For how long an event can come again: its last dead letter is sent to the topic once more, and the
# topic is then read from its beginning. What keeps an event from counting twice is kept for longer.
# Compacted topics have no such age: their records carry versions, and an old version has no effect.
REPLAYABLE_FOR = (_DEAD_LETTERS_KEPT + _SEGMENT) + (_EVENTS_KEPT + _SEGMENT)


@dataclass(frozen=True)
class Topic:
    """A topic; `retention` is None where the newest state of each key is kept (compacted)."""

    name: str
    key: str
    partitions: int
    retention: timedelta | None
    writers: tuple[Service, ...]
    readers: tuple[Service, ...]

    @property
    def compacted(self) -> bool:
        """Tell whether only the newest record of a key is kept."""
        return self.retention is None


EVENTS = Topic(
    name="mfa.events",
    key="tenant/subject_ref, or tenant/application_id where no person is concerned",
    partitions=6,
    retention=_EVENTS_KEPT,
    writers=EVERY_SERVICE,
    readers=EVERY_SERVICE,
)
POLICIES = Topic(
    name="mfa.policies",
    key="tenant/application_id",
    partitions=2,
    retention=None,
    writers=(Service.POLICY,),
    readers=(Service.VERIFICATION, Service.ENROLLMENT, Service.RECOVERY),
)
SUBJECTS = Topic(
    name="mfa.subjects",
    key="tenant/subject_ref",
    partitions=4,
    retention=None,
    writers=(Service.POLICY,),
    readers=(Service.VERIFICATION, Service.ENROLLMENT),
)
APPLICATIONS = Topic(
    name="mfa.applications",
    key="tenant/application_id",
    partitions=2,
    retention=None,
    writers=(Service.POLICY,),
    readers=(Service.VERIFICATION, Service.ENROLLMENT, Service.RECOVERY),
)
LIVE_TOPICS = (EVENTS, POLICIES, SUBJECTS, APPLICATIONS)
COMPACTED = frozenset(topic.name for topic in LIVE_TOPICS if topic.compacted)


def dead_letters_of(topic: Topic) -> Topic:
    """Return the topic that takes what readers of `topic` could not process."""
    return Topic(
        name=f"{topic.name}.dead",
        key=topic.key,
        partitions=1,
        retention=_DEAD_LETTERS_KEPT,
        writers=topic.readers,
        readers=(),
    )


ALL_TOPICS = LIVE_TOPICS + tuple(dead_letters_of(topic) for topic in LIVE_TOPICS)
