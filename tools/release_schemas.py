"""Puts today's event schemas under protection: contracts/released only ever grows.

An event has a new edition where its schema gained something since the last one. An edition is a
copy of the schema and golden records, one a line, exactly as they stand in Kafka.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.catalogue import EVENT_TYPES
from contracts.envelope import EventType
from tools.compatibility import Schema, differences
from tools.samples import record_value, sample_events
from tools.schemas import CONTRACTS, record_schema, rendered

RELEASED = CONTRACTS / "released"


@dataclass(frozen=True)
class Edition:
    """What was released of one version of an event at one time."""

    folder: Path
    number: int

    @property
    def event(self) -> str:
        """Return name and version of the event, as in `mfa.enrolled.v1`."""
        return self.folder.name

    def schema(self) -> Schema:
        """Return the schema as it was released."""
        schema: Schema = json.loads(self._file("schema.json").read_text())
        return schema

    def records(self) -> list[bytes]:
        """Return the golden record values."""
        return self._file("records.jsonl").read_bytes().splitlines()

    def write(self, kind: EventType[Any]) -> None:
        """Release this edition; raises FileExistsError where there is one already."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._file("schema.json").open("x") as file:
            file.write(rendered(record_schema(kind)))
        with self._file("records.jsonl").open("xb") as file:
            for number, event in enumerate(sample_events(kind), start=1):
                file.write(record_value(event, sequence=number) + b"\n")

    def _file(self, name: str) -> Path:
        return self.folder / f"{self.number}.{name}"


def main(arguments: list[str]) -> int:
    """Release what is new; return 1, and release nothing, where a schema broke a promise."""
    if arguments:
        sys.stderr.write("usage: python -m tools.release_schemas\n")
        return 2
    broken = broken_promises(editions(RELEASED), current_schemas())
    if broken:
        sys.stderr.write("\n".join([*broken, "make a new version of the event instead", ""]))
        return 1
    for edition in release(RELEASED):
        sys.stdout.write(f"released {edition.event}, edition {edition.number}\n")
    return 0


def editions(folder: Path) -> list[Edition]:
    """Return all that was ever released, by event and number."""
    files = folder.glob("*/*.schema.json")
    return sorted(
        (Edition(file.parent, int(file.name.split(".")[0])) for file in files),
        key=lambda edition: (edition.event, edition.number),
    )


def current_schemas() -> dict[str, Schema]:
    """Return today's schemas by name and version of the event."""
    return {f"{kind.name}.v{kind.version}": record_schema(kind) for kind in EVENT_TYPES}


def broken_promises(released: list[Edition], current: Mapping[str, Schema]) -> list[str]:
    """Return in plain words what today's schemas no longer keep of what was released."""
    broken = []
    for edition in released:
        place = f"{edition.event} (edition {edition.number})"
        if edition.event in current:
            found = differences(edition.schema(), current[edition.event])
            broken += [f"{place}: {difference}" for difference in found]
        else:
            broken.append(f"{place}: the event is gone")
    return broken


def release(folder: Path) -> list[Edition]:
    """Write an edition of each event that is new or gained something."""
    newest = {edition.event: edition for edition in editions(folder)}
    made = []
    for kind in EVENT_TYPES:
        name = f"{kind.name}.v{kind.version}"
        last = newest.get(name)
        if last is not None and last.schema() == record_schema(kind):
            continue
        edition = Edition(folder / name, 1 if last is None else last.number + 1)
        edition.write(kind)
        made.append(edition)
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
