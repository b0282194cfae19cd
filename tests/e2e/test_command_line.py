"""`watchword`, as an operator types it."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from contracts.vocabulary import Service
from libs.messaging.kafka import KafkaSettings, Message, Producer
from tests.e2e.people import Tenancy, until

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")

WATCHWORD = str(Path(sys.executable).parent / "watchword")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    error: str

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def watchword(*arguments: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        WATCHWORD, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    return Said(process.returncode or 0, out.decode(), error.decode())


def data_of(tenancy: Tenancy) -> str:
    return str(tenancy.system.around.data)


async def test_doctor_finds_a_healthy_system_well(tenancy: Tenancy) -> None:
    said = await watchword("doctor", "--data", data_of(tenancy), "--json")

    wrong = [finding for finding in said.objects if not finding["well"]]
    assert all("dead letters" in str(finding["what"]) for finding in wrong)
    assert {"PostgreSQL", "Valkey", "Kafka", "verification", "key files"} <= {
        finding["what"] for finding in said.objects
    }


async def test_doctor_says_which_service_is_down_and_what_to_do(tenancy: Tenancy) -> None:
    await tenancy.system.stop_service("recovery")
    try:
        said = await watchword("doctor", "--data", data_of(tenancy), "--json")
    finally:
        await tenancy.system.start_service("recovery")

    finding = next(finding for finding in said.objects if finding["what"] == "recovery")
    assert said.code == 1
    assert finding["well"] is False
    assert "recovery.log" in str(finding["advice"])


async def test_events_are_shown_from_a_point_and_filtered(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    await tenancy.events_of(person, until_type="mfa.credential_claimed")
    common = ("events", "tail", "--data", data_of(tenancy), "--subject", person.subject_ref)

    everything = await watchword(*common, "--from", "beginning", "--json")
    one_kind = await watchword(*common, "--type", "mfa.enroll*", "--json")
    at_the_end = await watchword(*common, "--from", "end", "--json")
    for_people = await watchword(*common, "--type", "mfa.enrolled")

    assert "mfa.subject_changed" in {event["type"] for event in everything.objects}
    assert {event["type"] for event in one_kind.objects} == {
        "mfa.enrollment_started",
        "mfa.enrolled",
    }
    assert (at_the_end.out, at_the_end.error.strip()) == ("", "no events")
    times = [str(event["time"]) for event in everything.objects]
    assert times == sorted(times)
    assert person.subject_ref[-8:] in for_people.out
    assert "mfa.enrolled" in for_people.out


async def test_a_dead_letter_is_listed_and_replayed(tenancy: Tenancy) -> None:
    kafka = KafkaSettings(
        bootstrap=tenancy.system.servers.kafka.bootstrap_servers, client_id="test"
    )
    key = uuid4().hex
    producer = Producer(kafka)
    assert await producer.send([Message("mfa.events", key.encode(), b"not json")]) == [True]
    await producer.close()
    common = ("--data", data_of(tenancy), "--topic", "mfa.events")

    async def letters() -> dict[str, dict[str, object]]:
        said = await watchword("dead-letters", "list", *common, "--json")
        return {str(one["group"]): one for one in said.objects if one["key"] == key}

    async def all_gave_up() -> bool:
        return len(await letters()) == len(Service)

    await until(all_gave_up)
    number = str((await letters())["recovery"]["number"])
    dry = await watchword("dead-letters", "replay", *common, "--number", number, "--dry-run")
    sent = await watchword("dead-letters", "replay", *common, "--number", number, "--json")
    missing = await watchword("dead-letters", "replay", *common, "--number", number)

    assert (missing.code, f"no dead letter {number}" in missing.error) == (1, True)
    assert dry.out.strip() == "would send 1 of 1 events, of 1 dead letters"
    assert sent.objects == [{"letters": 1, "wanted": 1, "sent": 1, "dry_run": False}]


async def test_keys_are_listed_without_any_key(tenancy: Tenancy) -> None:
    await tenancy.enrolled()

    said = await watchword("keys", "list", "--data", data_of(tenancy), "--json")

    purposes = {(row["service"], row["purpose"]) for row in said.objects}
    assert ("verification", "credential") in purposes
    assert "wrapped under" not in said.out


async def test_data_keys_are_wrapped_anew_under_a_new_key_while_everything_runs(
    tenancy: Tenancy,
) -> None:
    person = await tenancy.enrolled()
    data = data_of(tenancy)

    planned = await watchword("keys", "rotate", "--plan", "--data", data, "--json")
    wrapped = await watchword("keys", "rotate", "--kek", "--data", data, "--json")
    listed = await watchword("keys", "list", "--data", data, "--json")

    assert {row["service"] for row in planned.objects} >= {"policy", "enrollment", "verification"}
    assert (wrapped.code, wrapped.objects[-1]["troubles"]) == (0, [])
    assert {row["wrapped"] for row in listed.objects} == {"file, version 2"}
    assert person is not None


async def test_the_next_key_of_receipts_is_asked_for(tenancy: Tenancy) -> None:
    await tenancy.http.get("/v1/receipts/keys")

    said = await watchword("keys", "rotate-receipts", "--data", data_of(tenancy))

    assert (said.code, "signs a day later" in said.out) == (0, True)


async def test_bad_input_gets_a_clear_error(tmp_path: Path) -> None:
    nowhere = await watchword("doctor", "--data", str(tmp_path))
    when = await watchword("events", "tail", "--from", "yesterday")
    kind = await watchword("events", "tail", "--type", "mfa.unheard_of")
    subject = await watchword("events", "tail", "--subject", "01234567")
    topic = await watchword("dead-letters", "list", "--topic", "nothing")
    key = await watchword("code", "not base32!")

    assert (nowhere.code, "make run" in nowhere.error) == (1, True)
    assert (when.code, "ISO time" in when.error) == (2, True)
    assert (kind.code, "mfa.verified" in kind.error) == (2, True)
    assert (subject.code, "UUID" in subject.error) == (2, True)
    assert (topic.code, "mfa.events" in topic.error) == (2, True)
    assert (key.code, "base32" in key.error) == (2, True)
