"""Every event that can be built is what its documents say, as strangers' libraries judge it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as ForeignCloudEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.catalogue import EVENT_TYPES
from contracts.envelope import EventType, about_person, data_of
from libs.messaging.cloud_event import CONTENT_TYPE, parse
from tests.contract.records import errors_of
from tools.samples import record_value, sample_events
from tools.schemas import record_schema

KINDS = [pytest.param(kind, id=kind.name) for kind in EVENT_TYPES]
_NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
# JSON has no surrogates.
st.register_type_strategy(str, st.text(st.characters(codec="utf-8")))
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))


@pytest.mark.security("S16")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_can_be_built_is_valid_by_its_schema(kind: EventType[Any], data: Any) -> None:
    built = data.draw(st.from_type(kind.data))
    event = about_person(kind, built, tenant=UUID(int=1), subject_ref=UUID(int=2), now=_NOW)

    value = record_value(event, sequence=1)

    assert errors_of(record_schema(kind), value) == []
    assert data_of(kind, parse(value)) == built


@pytest.mark.standard("CloudEvents 1.0.2, JSON event format, structured mode")
@pytest.mark.parametrize("kind", KINDS)
def test_records_are_cloud_events_to_another_library(kind: EventType[Any]) -> None:
    for event in sample_events(kind):
        value = record_value(event, sequence=7)
        message = KafkaMessage({"content-type": CONTENT_TYPE.encode()}, event.key, value)

        read = from_structured(message, JSONFormat(), ForeignCloudEvent)

        assert read.get_type() == kind.name
        assert read.get_id() == str(event.id)
        assert read.get_time() == event.time
        assert read.get_subject() == event.subject
        assert read.get_extension("tenant") == str(event.tenant)
        assert read.get_extension("sequence") == "7"
        assert read.get_data() == event.data


@pytest.mark.parametrize(
    ("attribute", "wrong"),
    [
        ("type", "mfa.other"),
        ("dataschema", "https://watchword.invalid/schemas/mfa.locked/2"),
        ("source", "/watchword/policy"),
        ("specversion", "0.3"),
        ("tenant", "University"),
        ("tenant", "0192F3A1-0000-7000-8000-000000000000"),
        ("partitionkey", "ann@example.org"),
        ("partitionkey", "00000000-0000-0000-0000-000000000001/ann"),
        ("sequence", 7),
        ("sequence", ""),
        ("sequence", "-1"),
        ("sequence", "1" * 19),
        ("subject", "ann@example.org"),
        ("subject", None),
        ("traceparent", "00-1-1-01"),
        ("traceparent", None),
        ("time", "2026-11-23T18:00:00"),
        ("time", "yesterday"),
        ("id", "1"),
        ("data", None),
        ("data", {}),
        ("data", {"reason": "boredom", "until": None}),
        ("data", {"reason": "budget", "until": "tomorrow"}),
    ],
)
def test_a_wrong_attribute_is_refused(attribute: str, wrong: object) -> None:
    kind = next(kind for kind in EVENT_TYPES if kind.name == "mfa.locked")
    record = json.loads(record_value(next(sample_events(kind)), sequence=1))
    assert errors_of(record_schema(kind), json.dumps(record).encode()) == []

    altered = json.dumps(record | {attribute: wrong}).encode()

    assert errors_of(record_schema(kind), altered)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_attribute_is_refused_and_a_new_one_is_not(kind: EventType[Any]) -> None:
    schema = record_schema(kind)
    record = json.loads(record_value(next(sample_events(kind)), sequence=1))

    for name in schema["required"]:
        less = {other: value for other, value in record.items() if other != name}
        assert errors_of(schema, json.dumps(less).encode()), name
    more = record | {"colour": "green", "data": record["data"] | {"colour": "green"}}
    assert errors_of(schema, json.dumps(more).encode()) == []
