"""The event stream for people: from any point, filtered, a line an event."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rich.markup import escape

from contracts.catalogue import EVENT_TYPES
from contracts.topics import EVENTS
from libs.messaging.cloud_event import CloudEvent, InvalidEvent, parse
from libs.messaging.kafka import KafkaSettings, read_topic
from libs.messaging.kafka.reader import Start

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Wanted:
    """Which events are shown; None means all."""

    kind: str | None
    subject: str | None
    tenant: str | None

    def fits(self, event: CloudEvent) -> bool:
        """Tell whether the event is one of those."""
        if self.kind is not None and not _matches(self.kind, event.type):
            return False
        if self.subject is not None and event.subject != self.subject:
            return False
        return self.tenant in (None, str(event.tenant))


def starting_point(text: str) -> Start:
    """Return where to begin; raises ValueError with what would have been right."""
    if text == "beginning":
        return "beginning"
    if text == "end":
        return "end"
    ago = re.fullmatch(r"([0-9]+)([smhd])", text)
    if ago:
        return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "say beginning, end, an ISO time, or how long ago: 90s, 10m, 2h, 1d"
        ) from None
    return at if at.tzinfo else at.astimezone()


def known_type(text: str) -> str:
    """Return the type, or pattern, as given; raises ValueError where no event can be of it."""
    known = sorted(kind.name for kind in EVENT_TYPES if kind.topic == EVENTS)
    if not any(_matches(text, name) for name in known):
        raise ValueError(f"no event is of the type {text}; there are {', '.join(known)}")
    return text


def whole_id(text: str) -> str:
    """Return an id as events write it; raises ValueError where it is not a whole UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError(f"{text} is not a whole UUID (--json shows whole ids)") from None


def in_order(event: CloudEvent) -> tuple[datetime, int]:
    """Return what events of several partitions are sorted by."""
    return event.time, event.sequence


async def events(
    kafka: KafkaSettings, *, start: Start, follow: bool, wanted: Wanted
) -> AsyncIterator[CloudEvent]:
    """Yield the events that are wanted; what cannot be read is left to the dead letters."""
    async for record in read_topic(kafka, EVENTS.name, start=start, follow=follow):
        try:
            event = parse(record.value)
        except InvalidEvent:
            continue
        if wanted.fits(event):
            yield event


def readable(event: CloudEvent) -> str:
    """Return one line for people (rich markup)."""
    at = event.time.astimezone()
    today = at.date() == datetime.now().astimezone().date()
    time = at.strftime("%H:%M:%S.%f" if today else "%Y-%m-%d %H:%M:%S.%f")[:-3]
    data = " ".join(f"{name}={value}" for name, value in event.data.items() if value is not None)
    # The end of an id: the beginning is a time, which people of one hour share.
    who = (event.subject or "-")[-8:]
    source = escape(event.source.rpartition("/")[2])
    said = f"[bold]{escape(event.type):31}[/] {who:8} {source:12}"
    return f"{time} {said} #{event.sequence:<4} [dim]{escape(data)}[/]"


def as_dict(event: CloudEvent) -> dict[str, object]:
    """Return the event for programs."""
    return {
        "id": str(event.id),
        "time": event.time.isoformat(),
        "type": event.type,
        "source": event.source,
        "tenant": str(event.tenant),
        "subject": event.subject,
        "sequence": event.sequence,
        "traceparent": event.traceparent,
        "data": event.data,
    }


def _matches(pattern: str, kind: str) -> bool:
    if pattern.endswith("*"):
        return kind.startswith(pattern[:-1])
    return kind == pattern
