"""Whether a schema still says what its released edition said.

Within one version of an event, old publishers feed new readers and new publishers old readers. So a
version may gain optional attributes and nothing else; whatever else is needed is a new version.
"""

import json
from collections.abc import Iterator
from typing import Any

from jsoncompat import check_compat

# What a schema says to people only.
_REMARKS = frozenset({"title", "description", "examples"})

Schema = dict[str, Any]


def differences(released: Schema, current: Schema) -> list[str]:
    """Return what an application that knows `released` would stumble over, in plain words."""
    found = list(_compare(_without_remarks(released), _without_remarks(current), "record"))
    return [*found, *_second_opinion(released, current)]


def _compare(released: object, current: object, place: str) -> Iterator[str]:
    if isinstance(released, dict) and isinstance(current, dict):
        yield from _compare_schemas(released, current, place)
    elif isinstance(released, list) and isinstance(current, list) and len(released) == len(current):
        for number, (old, new) in enumerate(zip(released, current, strict=True)):
            yield from _compare(old, new, f"{place}[{number}]")
    elif type(released) is not type(current) or released != current:
        yield f"{place} was {json.dumps(released)} and is {json.dumps(current)}"


def _compare_schemas(released: Schema, current: Schema, place: str) -> Iterator[str]:
    for name in sorted(released.keys() ^ current.keys()):
        if name == "$defs" and name in current:
            # What nothing that was released speaks of.
            continue
        yield f"{place}: {name} {'is gone' if name in released else 'is new'}"
    for name in released.keys() & current.keys():
        if name in ("properties", "$defs"):
            yield from _compare_properties(released[name], current[name], place)
        elif name in ("required", "enum"):
            # Their order means nothing.
            yield from _compare(sorted(released[name]), sorted(current[name]), f"{place}: {name}")
        else:
            yield from _compare(released[name], current[name], f"{place}: {name}")


def _compare_properties(released: Schema, current: Schema, place: str) -> Iterator[str]:
    # A new one that is not in `required` is the one change there may be, with what it consists of.
    for name, schema in released.items():
        if name in current:
            yield from _compare(schema, current[name], f"{place}.{name}")
        else:
            yield f"{place}.{name} is gone"


def _second_opinion(released: Schema, current: Schema) -> Iterator[str]:
    # Readers take more than publishers write: they ignore what they do not know.
    if not check_compat(_as_written(released), json.dumps(current), "deserializer"):
        yield "jsoncompat: today's readers refuse what was published"
    if not check_compat(json.dumps(released), _as_written(current), "serializer"):
        yield "jsoncompat: earlier readers refuse what is published today"


def _as_written(schema: Schema) -> str:
    return json.dumps(_closed(schema))


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(part) for name, part in node.items() if name != "properties"}
    if "properties" in node:
        closed["properties"] = {name: _closed(part) for name, part in node["properties"].items()}
        closed["additionalProperties"] = False
    return closed


def _without_remarks(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_remarks(part) for part in node]
    if not isinstance(node, dict):
        return node
    rest = {
        name: _without_remarks(part)
        for name, part in node.items()
        if name not in _REMARKS and name != "properties"
    }
    if "properties" in node:
        rest["properties"] = {
            name: _without_remarks(part) for name, part in node["properties"].items()
        }
    return rest
