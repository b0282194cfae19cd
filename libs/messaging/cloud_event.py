"""CloudEvents 1.0 in structured JSON mode, with the extension attributes that we use.

Extensions: `tenant`, `partitionkey` (the Kafka record key), `sequence` (per key and publisher; a
gap means a lost event), `traceparent` (W3C trace context).
"""

import json
import re
from datetime import datetime
from uuid import UUID

import msgspec

CONTENT_TYPE = "application/cloudevents+json"
SPEC_VERSION = "1.0"


class InvalidEvent(Exception):  # noqa: N818 - the name that STYLE.md gives it
    """A record that no later attempt can make readable; it goes to the dead-letter topic."""


class CloudEvent(msgspec.Struct, frozen=True):
    """One event as it stands on the wire; `data` is not yet checked against its contract."""

    id: UUID
    source: str
    type: str
    time: datetime
    tenant: UUID
    key: str
    sequence: int
    subject: str | None
    traceparent: str | None
    dataschema: str
    data: dict[str, object]


def body_without_sequence(event: CloudEvent) -> str:
    """Render the JSON object but for `sequence`, which the outbox statement puts in front."""
    attributes: dict[str, object] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "datacontenttype": "application/json",
        "dataschema": event.dataschema,
        "tenant": event.tenant,
        "partitionkey": event.key,
        "data": event.data,
    }
    if event.subject is not None:
        attributes["subject"] = event.subject
    if event.traceparent is not None:
        attributes["traceparent"] = event.traceparent
    return msgspec.json.encode(attributes).decode()


def parse(value: bytes | None) -> CloudEvent:
    """Read a record value.

    Raises InvalidEvent, whose text never quotes the record.
    """
    try:
        raw = json.loads(value or b"", parse_constant=_refuse)
        if not isinstance(raw, dict) or raw["specversion"] != SPEC_VERSION:
            raise InvalidEvent("not a CloudEvents 1.0 object")
        return _from_attributes(raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidEvent(f"unreadable event: {type(error).__name__}") from None


def _from_attributes(raw: dict[str, object]) -> CloudEvent:
    data = raw["data"]
    if not isinstance(data, dict):
        raise InvalidEvent("data is not an object")
    return CloudEvent(
        id=UUID(_text(raw, "id")),
        source=_text(raw, "source"),
        type=_text(raw, "type"),
        time=_moment(_text(raw, "time")),
        tenant=UUID(_text(raw, "tenant")),
        key=_text(raw, "partitionkey"),
        sequence=_number(_text(raw, "sequence")),
        subject=_text(raw, "subject") if "subject" in raw else None,
        traceparent=_text(raw, "traceparent") if "traceparent" in raw else None,
        dataschema=_text(raw, "dataschema"),
        data=data,
    )


def _text(raw: dict[str, object], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str):
        raise InvalidEvent(f"{name} is not a string")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise InvalidEvent("time without an offset")
    return moment


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise InvalidEvent("sequence is not a number")
    return int(text)


def _refuse(_constant: str) -> float:
    raise InvalidEvent("not a number is not JSON")
