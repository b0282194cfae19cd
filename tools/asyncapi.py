"""What a service says and hears on the bus, as an AsyncAPI 3.0 document."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from contracts.catalogue import EVENT_TYPES
from contracts.envelope import EventType
from contracts.topics import Topic
from contracts.vocabulary import Service
from libs.messaging.cloud_event import CONTENT_TYPE
from libs.messaging.kafka import TopicSpec

Schema = dict[str, Any]

_BINDING = "0.5.0"
_HEADERS = {
    "content-type": "The content type of the value.",
    "ce_specversion": "Repeats specversion, as all that follow repeat theirs.",
    "ce_id": "For telling repeated records.",
    "ce_type": "For leaving out what does not matter to a reader.",
    "ce_tenant": "For leaving out other tenants.",
    "ce_sequence": "For seeing gaps.",
}


def asyncapi_document(
    service: Service, record_schema: Callable[[EventType[Any]], Schema]
) -> Schema:
    """Return the document of one service: its topics, what it sends and what it reacts to."""
    sent = [kind for kind in EVENT_TYPES if kind.publisher == service]
    received = received_by(service)
    kinds = {message_of(kind): kind for kind in (*sent, *received)}
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:watchword:{service}",
        "info": {
            "title": f"Watchword: {service}",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in structured mode; each service has such a document.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            topic.name: _channel(topic, kinds.values()) for topic in _topics(kinds.values())
        },
        "operations": _operations("send", sent)
        | _operations("receive", received, groups=groups_of(service)),
        "components": {
            "schemas": {name: _embedded(record_schema(kind)) for name, kind in kinds.items()},
            "messages": {name: _message(kind) for name, kind in kinds.items()},
        },
    }


def received_by(service: Service) -> list[EventType[Any]]:
    """Return the event types that a service reacts to, read from the handlers of its consumer."""
    handled = handlers_of(service)
    return [kind for kind in EVENT_TYPES if kind.name in handled]


def groups_of(service: Service) -> dict[str, str]:
    """Return by which consumer group a service reads each topic that it reads."""
    consumer = importlib.import_module(f"services.{service}.consumer")
    return {topic: group for group, topics in consumer.GROUPS.items() for topic in topics}


def handlers_of(service: Service) -> frozenset[str]:
    """Return the names of the event types that a service has handlers for."""
    consumer = importlib.import_module(f"services.{service}.consumer")
    events: type[Any] | None = getattr(consumer, "Events", None)
    if events is None:
        return frozenset()
    # The table names methods and calls nothing, so it needs none of what the handlers use.
    return frozenset(object.__new__(events).handlers())


def message_of(kind: EventType[Any]) -> str:
    """Return the name under which an event stands in a document."""
    return f"{kind.name}.v{kind.version}"


def _topics(kinds: Iterable[EventType[Any]]) -> list[Topic]:
    return list(dict.fromkeys(kind.topic for kind in kinds))


def _channel(topic: Topic, kinds: Iterable[EventType[Any]]) -> Schema:
    names = [message_of(kind) for kind in kinds if kind.topic == topic]
    config = _config(topic)
    return {
        "address": topic.name,
        "description": "The newest state of each key." if topic.compacted else "Facts, in order.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [config["cleanup.policy"]],
                    "retention.ms": int(config["retention.ms"]),
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _config(topic: Topic) -> dict[str, str]:
    spec = TopicSpec(
        name=topic.name,
        partitions=topic.partitions,
        compacted=topic.compacted,
        retention=topic.retention,
    )
    return spec.config()


def _operations(
    action: str, kinds: Iterable[EventType[Any]], *, groups: Mapping[str, str] = {}
) -> Schema:
    return {
        f"{action}_{topic.name}": _operation(
            action,
            topic,
            [kind for kind in kinds if kind.topic == topic],
            group=groups.get(topic.name),
        )
        for topic in _topics(kinds)
    }


def _operation(
    action: str, topic: Topic, kinds: Iterable[EventType[Any]], *, group: str | None
) -> Schema:
    channel = f"#/channels/{topic.name}"
    binding: Schema = {"bindingVersion": _BINDING}
    if group is not None:
        binding["groupId"] = {"type": "string", "const": group}
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{message_of(kind)}"} for kind in kinds],
        "bindings": {"kafka": binding},
    }


def _message(kind: EventType[Any]) -> Schema:
    properties = {
        name: {"type": "string", "description": meaning} for name, meaning in _HEADERS.items()
    }
    return {
        "name": kind.name,
        "title": f"{kind.name}, version {kind.version}",
        "summary": kind.meaning,
        "contentType": CONTENT_TYPE,
        "headers": {"type": "object", "properties": properties, "required": list(_HEADERS)},
        "payload": {"$ref": f"#/components/schemas/{message_of(kind)}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": kind.topic.key},
                "bindingVersion": _BINDING,
            }
        },
    }


def _embedded(schema: Schema) -> Schema:
    # AsyncAPI's own schemas extend draft 07; ours use nothing that came later.
    return {name: value for name, value in schema.items() if name != "$schema"}
