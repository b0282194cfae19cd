import json
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from libs.messaging.cloud_event import CloudEvent, InvalidEvent, body_without_sequence, parse

EVENT = CloudEvent(
    id=UUID(int=1),
    source="/policy",
    type="mfa.policy_changed",
    time=datetime(2026, 11, 23, 18, 0, tzinfo=UTC),
    tenant=UUID(int=2),
    key="tenant/ann",
    sequence=7,
    subject=None,
    traceparent=None,
    dataschema="/schemas/mfa.policy_changed/1.0",
    data={"name": "Zoë", "nested": {"sequence": "1"}},
)


def _wire(event: CloudEvent) -> bytes:
    return f'{{"sequence":"{event.sequence}",{body_without_sequence(event)[1:]}'.encode()


def _with(**changes: object) -> bytes:
    raw = json.loads(_wire(EVENT)) | changes
    return json.dumps({name: value for name, value in raw.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "event",
    [EVENT, msgspec.structs.replace(EVENT, subject="ann", traceparent=f"00-{1:032x}-{2:016x}-01")],
)
def test_what_was_rendered_is_read_back(event: CloudEvent) -> None:
    assert parse(_wire(event)) == event


@pytest.mark.standard("CloudEvents 1.0.2, section 3: unknown extensions are allowed")
def test_unknown_attributes_are_ignored() -> None:
    assert parse(_with(colour="green")) == EVENT


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        _with(specversion="2.0"),
        _with(specversion=...),
        _with(tenant=...),
        _with(tenant="ann"),
        _with(id=1),
        _with(time="yesterday"),
        _with(time="2026-11-23T18:00:00"),
        _with(sequence=7),
        _with(sequence="-7"),
        _with(sequence="\u0667"),
        _with(sequence="9" * 19),
        _with(data="x"),
        _with(data=...),
        _with(data={"value": float("nan")}),
        _with(subject=1),
        _with(partitionkey=...),
    ],
)
def test_whatever_is_no_event_is_invalid_and_not_quoted(value: bytes | None) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        parse(value)

    assert "ann" not in str(refusal.value)
