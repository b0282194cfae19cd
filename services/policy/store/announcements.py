"""Puts announcements into the outbox."""

from collections.abc import Iterable

from contracts.topics import Topic
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.outbox import announce, announce_many
from libs.postgres.pool import Connection

# A few take a statement each; of many, so many at once that nobody's turn is long (a policy with
# its rules can have 100 kB).
_FEW = 4
_AT_ONCE = 25


async def announce_all(tx: Connection, announcements: Iterable[tuple[Topic, CloudEvent]]) -> None:
    """Announce in one order of topics and keys, in which every transaction locks them."""
    said = sorted(announcements, key=lambda one: (one[0].name, one[1].key))
    if len(said) <= _FEW:
        for topic, event in said:
            await announce(tx, topic=topic.name, event=event)
        return
    for first in range(0, len(said), _AT_ONCE):
        portion = [(topic.name, event) for topic, event in said[first : first + _AT_ONCE]]
        await announce_many(tx, portion[0][1].tenant, portion)
