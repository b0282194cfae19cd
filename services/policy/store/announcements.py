"""Puts announcements into the outbox."""

from collections.abc import Iterable
from dataclasses import replace

from contracts.topics import Topic
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection
from libs.telemetry import current_traceparent


async def announce_all(tx: Connection, announcements: Iterable[tuple[Topic, CloudEvent]]) -> None:
    """Announce in the order of the keys, in which every transaction locks them; stable in each."""
    traceparent = current_traceparent()
    for topic, event in sorted(announcements, key=lambda announcement: announcement[1].key):
        await announce(tx, topic=topic.name, event=replace(event, traceparent=traceparent))
