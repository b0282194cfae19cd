"""Puts announcements into the outbox."""

from collections.abc import Iterable
from uuid import UUID

from contracts.topics import Topic
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.outbox import announce, announce_many
from libs.postgres.pool import Connection


async def announce_all(tx: Connection, announcements: Iterable[tuple[Topic, CloudEvent]]) -> None:
    """Announce in one order of topics and keys, in which every transaction locks them."""
    for topic, event in sorted(announcements, key=lambda one: (one[0].name, one[1].key)):
        await announce(tx, topic=topic.name, event=event)


async def announce_at_once(
    tx: Connection, tenant: UUID, announcements: Iterable[tuple[Topic, CloudEvent]]
) -> None:
    """Announce in one statement, in the same order; a topic and key may come once."""
    await announce_many(tx, tenant, [(topic.name, event) for topic, event in announcements])
