"""What was once published stays readable, and what was once read stays published."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from contracts.catalogue import EVENT_TYPES
from contracts.envelope import data_of
from libs.messaging.cloud_event import parse
from tests.contract.records import check_schema, errors_of
from tools import release_schemas
from tools.compatibility import Schema, differences
from tools.release_schemas import (
    RELEASED,
    Edition,
    broken_promises,
    current_schemas,
    editions,
    release,
)
from tools.samples import record_value, sample_events

KINDS = {f"{kind.name}.v{kind.version}": kind for kind in EVENT_TYPES}
EDITIONS = [
    pytest.param(edition, id=f"{edition.event}-{edition.number}") for edition in editions(RELEASED)
]


def test_every_event_was_released_with_golden_records() -> None:
    released = {edition.event for edition in editions(RELEASED)}

    assert released >= KINDS.keys()
    assert all(len(edition.records()) > 3 for edition in editions(RELEASED))


@pytest.mark.security("S16")
@pytest.mark.parametrize("edition", EDITIONS)
def test_the_schema_keeps_what_was_released(edition: Edition) -> None:
    assert edition.event in KINDS, "a released event is gone"
    assert differences(edition.schema(), current_schemas()[edition.event]) == []


@pytest.mark.security("S16")
@pytest.mark.parametrize("edition", EDITIONS)
def test_golden_records_are_read_today(edition: Edition) -> None:
    kind, schema = KINDS[edition.event], current_schemas()[edition.event]

    for value in edition.records():
        assert errors_of(schema, value) == []
        data = data_of(kind, parse(value))
        written = data.model_dump(mode="json")
        assert _says(written, json.loads(value)["data"])


@pytest.mark.security("S16")
@pytest.mark.parametrize("edition", EDITIONS)
def test_todays_events_are_valid_by_every_released_schema(edition: Edition) -> None:
    events = list(sample_events(KINDS[edition.event]))

    assert events
    for event in events:
        assert errors_of(edition.schema(), record_value(event, sequence=1)) == []


@pytest.mark.parametrize("edition", EDITIONS)
def test_released_schemas_are_schemas(edition: Edition) -> None:
    check_schema(edition.schema())


def test_a_vanished_event_is_a_broken_promise() -> None:
    current = current_schemas()
    del current["mfa.locked.v1"]

    broken = broken_promises(editions(RELEASED), current)

    assert broken == ["mfa.locked.v1 (edition 1): the event is gone"]


def test_releasing_again_adds_nothing() -> None:
    before = _files(RELEASED)

    assert release(RELEASED) == []
    assert _files(RELEASED) == before


def test_a_schema_that_gained_something_has_a_new_edition_beside_the_old(tmp_path: Path) -> None:
    release(tmp_path)
    _forget_description(tmp_path / "mfa.locked.v1/1.schema.json")
    before = _files(tmp_path)

    made = release(tmp_path)

    assert [(edition.event, edition.number) for edition in made] == [("mfa.locked.v1", 2)]
    assert before.items() <= _files(tmp_path).items()
    assert release(tmp_path) == []


def test_nothing_is_released_once_a_promise_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release(tmp_path)
    file = tmp_path / "mfa.locked.v1/1.schema.json"
    schema = json.loads(file.read_text())
    schema["properties"]["colour"] = {"type": "string"}
    file.write_text(json.dumps(schema))
    before = _files(tmp_path)
    monkeypatch.setattr(release_schemas, "RELEASED", tmp_path)

    assert release_schemas.main([]) == 1
    assert "record.colour is gone" in capsys.readouterr().err
    assert _files(tmp_path) == before


def _says(written: object, golden: object) -> bool:
    """Tell whether all that a golden record says is still said, in every part of it."""
    match golden, written:
        case dict(), dict():
            return all(name in written and _says(written[name], golden[name]) for name in golden)
        case list(), list():
            return len(written) == len(golden) and all(map(_says, written, golden))
        case _:
            return written == golden


def _files(folder: Path) -> Mapping[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _forget_description(file: Path) -> None:
    schema: Schema = json.loads(file.read_text())
    del schema["description"]
    file.write_text(json.dumps(schema))
