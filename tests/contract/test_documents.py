"""The documents say what the code says, and can be read by others."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.catalogue import EVENT_TYPES
from contracts.topics import APPLICATIONS, LIVE_TOPICS, POLICIES
from contracts.vocabulary import Service
from tests.contract.records import check_schema
from tests.fixtures.services import ROOT
from tools.asyncapi import groups_of, handlers_of, received_by
from tools.asyncapi_check.__main__ import DOCUMENTS
from tools.asyncapi_check.__main__ import main as check
from tools.schemas import CONTRACTS, documents, file_of, out_of_date, record_schema

TOPIC_OF = {kind.name: kind.topic for kind in EVENT_TYPES}


def test_the_documents_are_up_to_date() -> None:
    assert out_of_date(documents(), CONTRACTS) == []


def test_a_missing_a_changed_and_a_forgotten_document_are_seen(tmp_path: Path) -> None:
    wanted = {"schemas/a.json": "1", "schemas/b.json": "2", "asyncapi/c.json": "3"}
    for name, text in {"schemas/a.json": "1", "schemas/b.json": "0", "schemas/d.json": "4"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    stale = out_of_date(wanted, tmp_path)

    assert stale == ["asyncapi/c.json", "schemas/b.json", "schemas/d.json"]


def test_names_of_events_are_unique() -> None:
    files = [file_of(kind) for kind in EVENT_TYPES]

    assert len(set(files)) == len(files)


@pytest.mark.standard("JSON Schema 2020-12")
@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.name)
def test_schemas_are_schemas_without_references(kind: Any) -> None:
    schema = record_schema(kind)

    check_schema(schema)
    assert '"$ref"' not in json.dumps(schema)


@pytest.mark.parametrize("service", Service)
def test_a_consumer_reads_the_topics_of_what_it_handles_and_no_others(service: Service) -> None:
    handled = handlers_of(service)

    assert handled <= TOPIC_OF.keys(), "handles an event that nobody publishes"
    assert groups_of(service).keys() == {TOPIC_OF[name].name for name in handled}


@pytest.mark.parametrize("service", Service)
def test_no_topic_is_read_twice_and_policies_and_keys_wait_behind_nobody(service: Service) -> None:
    groups = importlib.import_module(f"services.{service}.consumer").GROUPS
    urgent, topics = {POLICIES.name, APPLICATIONS.name}, [set(read) for read in groups.values()]

    assert sum(len(read) for read in groups.values()) == len(set.union(*topics))
    assert all(read <= urgent or not read & urgent for read in topics)
    assert all(group.split(".")[0] == service for group in groups), "a foreign group's offsets"


@pytest.mark.parametrize("service", Service)
def test_services_read_and_write_only_where_contracts_let_them(service: Service) -> None:
    sent = {kind.topic for kind in EVENT_TYPES if kind.publisher == service}
    received = {kind.topic for kind in received_by(service)}

    assert all(service in topic.writers for topic in sent)
    assert all(service in topic.readers for topic in received)


def test_every_topic_carries_something() -> None:
    assert {kind.topic for kind in EVENT_TYPES} == set(LIVE_TOPICS)


def test_the_document_of_verification_names_what_it_sends_and_receives() -> None:
    document = json.loads((DOCUMENTS / "verification.json").read_text())

    operations = document["operations"]
    received = _messages(operations["receive_mfa.events"])
    assert {"mfa.enrolled.v1", "mfa.authenticator_removed.v1"} == set(received)
    group = operations["receive_mfa.policies"]["bindings"]["kafka"]["groupId"]
    assert group == {"type": "string", "const": "verification.settings"}
    assert "mfa.verified.v1" in _messages(operations["send_mfa.events"])
    policies = document["channels"]["mfa.policies"]["bindings"]["kafka"]["topicConfiguration"]
    assert policies["cleanup.policy"] == ["compact"]


@pytest.mark.standard("AsyncAPI 3.0")
@pytest.mark.security("S16")
def test_the_parser_of_asyncapi_reads_all_documents() -> None:
    assert check([]) == 0


def test_the_parser_of_asyncapi_refuses_a_broken_reference(tmp_path: Path) -> None:
    text = (DOCUMENTS / "policy.json").read_text()
    broken = tmp_path / "policy.json"
    broken.write_text(text.replace('"#/components/schemas/mfa.subject.v1"', '"#/no/such"'))

    assert check([str(broken)]) == 1


@pytest.mark.parametrize("folder", ["tools/asyncapi_check", "tests/fixtures/qr_reader"])
def test_the_lock_file_names_no_registry(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())

    packages = [package for place, package in lock["packages"].items() if place]
    assert all("integrity" in package for package in packages)
    assert not any("resolved" in package for package in packages)


def _messages(operation: dict[str, Any]) -> Iterator[str]:
    return (message["$ref"].rsplit("/", 1)[1] for message in operation["messages"])
