"""The contract documents: a JSON Schema for each event, an AsyncAPI document for each service.

`--check` says whether contracts/schemas and contracts/asyncapi still say what the code says.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.catalogue import EVENT_TYPES
from contracts.envelope import EventType
from contracts.vocabulary import Service
from libs.messaging.cloud_event import SPEC_VERSION
from tools.asyncapi import Schema, asyncapi_document

CONTRACTS = Path(__file__).parents[1] / "contracts"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# RFC 3339 section 5.6, as datetime.isoformat writes it.
_MOMENT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def main(arguments: list[str]) -> int:
    """Write every document, or with --check return 1 where one is out of date."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m tools.schemas [--check]\n")
        return 2
    wanted = documents()
    stale = out_of_date(wanted, CONTRACTS)
    if arguments and stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make schemas`\n")
        return 1
    for name in stale:
        _put(CONTRACTS / name, wanted.get(name))
    return 0


def documents() -> Mapping[str, str]:
    """Return the text of every document by its path below contracts/."""
    schemas = {file_of(kind): record_schema(kind) for kind in EVENT_TYPES}
    services = {
        f"asyncapi/{service}.json": asyncapi_document(service, record_schema) for service in Service
    }
    return {name: rendered(document) for name, document in (schemas | services).items()}


def out_of_date(wanted: Mapping[str, str], folder: Path) -> list[str]:
    """Return which documents are missing, different or no longer wanted."""
    there = {
        path.relative_to(folder).as_posix(): path.read_text()
        for kind in ("schemas", "asyncapi")
        for path in (folder / kind).rglob("*")
        if path.is_file()
    }
    names = sorted(wanted.keys() | there.keys())
    return [name for name in names if wanted.get(name) != there.get(name)]


def file_of(kind: EventType[Any]) -> str:
    """Return the path of an event's schema below contracts/."""
    return f"schemas/{kind.name}.v{kind.version}.json"


def rendered(document: Mapping[str, object]) -> str:
    """Return a document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def record_schema(kind: EventType[Any]) -> Schema:
    """Return the schema of a whole record value: the CloudEvent and its data.

    Nothing is closed: a reader ignores attributes that a newer publisher added.
    """
    attributes: Schema = {
        "specversion": {"const": SPEC_VERSION},
        "id": _text(_UUID, format="uuid"),
        "source": {"const": f"/watchword/{kind.publisher}"},
        "type": {"const": kind.name},
        "time": _text(_MOMENT, format="date-time"),
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": kind.dataschema},
        "tenant": _text(_UUID, format="uuid"),
        "partitionkey": _text(f"{_UUID}/{_UUID}", description=f"The record key: {kind.topic.key}."),
        "sequence": _text(
            "[0-9]{1,18}", description="Counts by topic, key and publisher; a gap is a lost event."
        ),
        "data": _plain_schema(kind.data.model_json_schema()),
    }
    optional: Schema = {
        "subject": _text(_UUID, format="uuid", description="The subject_ref of whom it is about."),
        "traceparent": _text("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
    }
    return {
        "$schema": _DIALECT,
        "title": f"{kind.name}, version {kind.version}",
        "description": kind.meaning,
        "type": "object",
        "properties": attributes | optional,
        "required": list(attributes),
    }


def _text(pattern: str, **more: str) -> Schema:
    return {"type": "string", **more, "pattern": f"^{pattern}$"}


def _plain_schema(schema: Schema) -> Schema:
    """Put definitions in the place of references and drop the titles that repeat field names."""
    definitions = schema.get("$defs", {})

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(part) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            beside = {name: value for name, value in node.items() if name != "$ref"}
            return plain(definitions[node["$ref"].removeprefix("#/$defs/")] | beside)
        properties = {name: plain(part) for name, part in node.get("properties", {}).items()}
        rest = {
            name: plain(part)
            for name, part in node.items()
            if name not in ("$defs", "title", "properties")
        }
        return rest | ({"properties": properties} if "properties" in node else {})

    plain_schema: Schema = plain(schema)
    return plain_schema


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
