import json

import pytest

from tests.e2e.people import Tenancy, until

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")


def spans(tenancy: Tenancy) -> list[dict[str, object]]:
    folder = tenancy.system.around.data / "traces"
    return [
        json.loads(line)
        for file in folder.glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]


async def test_one_trace_shows_enrollment_event_and_claim(tenancy: Tenancy) -> None:
    person = await tenancy.person()
    await tenancy.enroll(person)
    await tenancy.until_decided(person, "challenge")
    events = await tenancy.events_of(person, until_type="mfa.enrolled")
    enrolled = next(event for event in events if event.type == "mfa.enrolled")
    assert enrolled.traceparent is not None
    trace = enrolled.traceparent.split("-")[1]

    async def told() -> bool:
        mine = [span for span in spans(tenancy) if span["trace"] == trace]
        names = {(span["service"], str(span["name"]).split(" ")[0]) for span in mine}
        return {
            ("enrollment", "POST"),
            ("verification", "consume"),
            ("verification", "claim"),
            ("notification", "consume"),
        } <= names

    await until(told)


async def test_no_span_names_a_person(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    await tenancy.verify(person, person.next_code())

    async def written() -> bool:
        return any("verify" in str(span) for span in spans(tenancy))

    await until(written)
    assert person.name not in json.dumps(spans(tenancy))
