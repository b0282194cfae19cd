import time

import pyotp
import pytest

from deploy.local.front_door import ROUTES
from tests.e2e.people import Tenancy, until

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.requirement("A1")
@pytest.mark.requirement("F1")
@pytest.mark.requirement("F2")
async def test_a_person_enrolls_by_qr_code_and_logs_in(tenancy: Tenancy) -> None:
    person = await tenancy.person()
    before = await tenancy.decision(person)

    await tenancy.enroll(person)
    await tenancy.until_decided(person, "challenge")
    accepted = await tenancy.verify(person, person.next_code())
    again = await tenancy.verify(person, person.code_in_use())
    wrong = await tenancy.verify(person, person.wrong_code())

    assert before == "enroll"
    assert (accepted.status_code, accepted.json()["outcome"]) == (200, "accepted")
    assert [again.status_code, wrong.status_code] == [403, 403]


@pytest.mark.requirement("E2")
async def test_the_key_can_be_retyped_and_nothing_counts_before_the_code(tenancy: Tenancy) -> None:
    person = await tenancy.person()
    started = await tenancy.must(
        "/v1/enrollments", {"subject": person.name, "factor": "totp"}, status=201
    )
    path = f"/v1/enrollments/{started['enrollment_id']}/confirmation"
    retyped = pyotp.TOTP(str(started["key"]).replace(" ", ""))
    near = {retyped.at(int(time.time()), counter_offset=step) for step in range(-3, 4)}
    wrong = next(code for digit in "0123456789" if (code := digit * 6) not in near)

    refused = await tenancy.ask(path, {"code": wrong})
    between = await tenancy.decision(person)
    confirmed = await tenancy.ask(path, {"code": retyped.now()})

    assert refused.status_code == 403
    assert between == "enroll"
    assert confirmed.status_code == 200
    await tenancy.until_decided(person, "challenge")


@pytest.mark.requirement("A3")
async def test_protection_is_per_application(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    unprotected = await tenancy.application({"requirement": "off", "factors": ["totp"]})

    assert await tenancy.decision(person) == "challenge"
    assert await tenancy.decision(person, key=unprotected) == "allow"


@pytest.mark.requirement("F4")
async def test_every_step_is_an_event_in_order_and_without_gaps(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    await tenancy.verify(person, person.wrong_code())
    await tenancy.verify(person, person.next_code())

    events = await tenancy.events_of(person, until_type="mfa.verified")

    types = [event.type for event in events]
    for earlier, later in (
        ("mfa.enrollment_started", "mfa.enrolled"),
        ("mfa.enrolled", "mfa.credential_claimed"),
        ("mfa.credential_claimed", "mfa.verification_failed"),
        ("mfa.verification_failed", "mfa.verified"),
    ):
        assert types.index(earlier) < types.index(later)
    for source in {event.source for event in events}:
        sequences = [event.sequence for event in events if event.source == source]
        assert sequences == list(range(1, len(sequences) + 1))


@pytest.mark.requirement("F5")
async def test_every_service_describes_its_api(tenancy: Tenancy) -> None:
    for service, path in (
        ("policy", "/v1/applications"),
        ("enrollment", "/v1/enrollments"),
        ("verification", "/v1/verify"),
        ("recovery", "/v1/recoveries"),
    ):
        document = await tenancy.http.get(f"/openapi/{service}.json")
        assert path in document.json()["paths"]


@pytest.mark.security("S6")
async def test_the_front_door_leads_to_no_internal_route(tenancy: Tenancy) -> None:
    for path in ("/internal/revocations", "/health/ready", "/metrics", "/v1/../internal/resets"):
        assert (await tenancy.ask(path, {})).status_code == 404


async def test_every_refusal_at_the_front_door_is_a_problem(tenancy: Tenancy) -> None:
    http = tenancy.http
    plain = {"Content-Type": "text/plain", "Authorization": f"Bearer {tenancy.key}"}
    answers = [
        (404, await http.get("/nowhere")),
        (404, await http.post("/v1/verify/", json={})),
        (405, await http.get("/v1/verify")),
        (413, await http.post("/v1/verify", content=b"1" * 64_500, headers=plain)),
        (413, await http.post("/v1/verify", content=b"1" * 70_000, headers=plain)),
        (415, await http.post("/v1/verify", content=b"{}", headers=plain)),
    ]
    await tenancy.system.stop_service("recovery")
    try:
        answers.append((503, await http.post("/v1/recoveries", json={})))
    finally:
        await tenancy.system.start_service("recovery")

    for status, answer in answers:
        body = answer.json()
        assert (answer.status_code, body["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        assert body["type"].endswith(f"/{body['code']}")
        assert body["title"]
    assert answers[2][1].headers["allow"] == "POST"


@pytest.mark.requirement("F5")
async def test_the_api_documents_name_keys_and_problems(tenancy: Tenancy) -> None:
    for service in ("policy", "enrollment", "verification", "recovery"):
        document = (await tenancy.http.get(f"/openapi/{service}.json")).json()
        operations = [one for path in document["paths"].values() for one in path.values()]

        assert "ProblemBody" in document["components"]["schemas"]
        # What is described is what the front door leads to.
        assert all(path.startswith(ROUTES[service]) for path in document["paths"])
        assert len({one["operationId"] for one in operations}) == len(operations)
        for one in operations:
            # The keys of receipts are everybody's.
            key = {"tenants": "operator key", "receipts": None}.get(
                one["tags"][0], "application key"
            )
            assert one.get("security") == ([{key: []}] if key else None)
            assert "authorization" not in {p["name"].lower() for p in one.get("parameters", ())}
            assert one["summary"]
            said = {
                "503",
                *(("401",) if key else ()),
                *(("413", "415", "422") if "requestBody" in one else ()),
            }
            refusals = {status: it for status, it in one["responses"].items() if status >= "400"}
            assert said <= refusals.keys()
            assert all("application/problem+json" in it["content"] for it in refusals.values())


@pytest.mark.requirement("A3")
async def test_a_change_of_policy_takes_effect(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    answer = await tenancy.ask(
        f"/v1/policies/{tenancy.application_id}",
        {"requirement": "off", "factors": ["totp"]},
        key=tenancy.manage_key,
        method="PUT",
    )

    assert answer.status_code == 200

    async def allowed() -> bool:
        return await tenancy.decision(person) == "allow"

    await until(allowed)
