import re

import httpx2
import pytest

from tests.e2e.people import Tenancy, until

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.requirement("A2")
async def test_the_recovery_key_removes_the_lost_authenticator_and_opens_the_way_to_a_new_one(
    tenancy: Tenancy,
) -> None:
    person = await tenancy.enrolled()
    lost_code = person.next_code()
    body = {"subject": person.name, "recovery_key": person.recovery_key}

    recovered = await tenancy.effective("/v1/recoveries", body)
    with_lost_phone = await tenancy.verify(person, lost_code)
    decision = await tenancy.decision(person)
    again = await tenancy.ask("/v1/recoveries", body)

    assert with_lost_phone.status_code == 403
    assert decision == "enroll"
    assert again.status_code in (200, 202)
    assert again.json()["reset_id"] == recovered["reset_id"]

    async def completed() -> bool:
        reset = await tenancy.get(f"/v1/resets/{recovered['reset_id']}")
        return bool(reset.json()["status"] == "completed")

    await until(completed)
    events = await tenancy.events_of(person, until_type="mfa.reset_completed")
    types = [event.type for event in events]
    for expected in (
        "mfa.recovery_used",
        "mfa.reset_requested",
        "mfa.authenticator_removed",
        "mfa.credential_forgotten",
        "mfa.reset_completed",
    ):
        assert types.count(expected) == 1

    await tenancy.enroll(person, name="New phone")
    await tenancy.until_decided(person, "challenge")
    assert (await tenancy.verify(person, person.next_code())).status_code == 200


@pytest.mark.requirement("A1")
async def test_removal_takes_effect_before_its_answer(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    path = f"/v1/authenticators/{person.authenticator_id}"

    await tenancy.effective(path, {}, method="DELETE", key=tenancy.manage_key)
    verified = await tenancy.verify(person, person.next_code())

    assert verified.status_code == 403
    assert await tenancy.decision(person) == "enroll"


@pytest.mark.fault("R16")
async def test_with_kafka_down_removal_and_verification_go_on(tenancy: Tenancy) -> None:
    leaver, stayer = await tenancy.enrolled(), await tenancy.enrolled()
    kafka = tenancy.system.servers.kafka
    await kafka.stop()
    try:
        path = f"/v1/authenticators/{leaver.authenticator_id}"
        await tenancy.effective(path, {}, method="DELETE", key=tenancy.manage_key)
        after = await tenancy.verify(leaver, leaver.next_code())
        accepted = await tenancy.verify(stayer, stayer.next_code())
    finally:
        await kafka.start()

    assert after.status_code == 403
    assert accepted.status_code == 200
    events = await tenancy.events_of(leaver, until_type="mfa.credential_forgotten")
    assert [event.type for event in events].count("mfa.authenticator_removed") <= 1


@pytest.mark.fault("R10")
async def test_with_verification_down_removal_is_pending_and_then_becomes_true(
    tenancy: Tenancy,
) -> None:
    person = await tenancy.enrolled()
    await tenancy.system.stop_service("verification")
    try:
        path = f"/v1/authenticators/{person.authenticator_id}"
        removed = await tenancy.ask(path, {}, method="DELETE", key=tenancy.manage_key)
    finally:
        await tenancy.system.start_service("verification")

    assert (removed.status_code, removed.json()["status"]) == (202, "pending")
    await tenancy.until_decided(person, "enroll")
    assert (await tenancy.verify(person, person.next_code())).status_code == 403


async def test_a_list_of_authenticators_shows_what_counts(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()

    listed = await tenancy.must("/v1/authenticators/search", {"subject": person.name}, status=200)

    authenticators = listed["authenticators"]
    assert isinstance(authenticators, list)
    assert [(one["name"], one["factor"], one["status"]) for one in authenticators] == [
        ("My phone", "totp", "active")
    ]


@pytest.mark.fault("R16")
async def test_verification_of_known_people_needs_no_other_service(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    others = ("policy", "enrollment", "notification", "recovery")
    for service in others:
        await tenancy.system.stop_service(service)
    try:
        decision = await tenancy.decision(person)
        accepted = await tenancy.verify(person, person.next_code())
    finally:
        for service in others:
            await tenancy.system.start_service(service)

    assert decision == "challenge"
    assert accepted.status_code == 200


@pytest.mark.fault("R16")
async def test_verification_starts_while_kafka_is_down_and_shows_how_old_its_copies_are(
    tenancy: Tenancy,
) -> None:
    person = await tenancy.enrolled()
    system = tenancy.system
    await system.servers.kafka.stop()
    try:
        await system.stop_service("verification")
        await system.start_service("verification")
        accepted = await tenancy.verify(person, person.next_code())
        async with httpx2.AsyncClient() as http:
            url = f"{system.around.internal_url('verification')}/metrics"
            metrics = (await http.get(url)).text
    finally:
        await system.servers.kafka.start()

    assert accepted.status_code == 200
    silent = re.search(r"^watchword_consumer_silent_seconds (\S+)$", metrics, re.MULTILINE)
    assert silent is not None
    assert float(silent[1]) > 0


@pytest.mark.fault("R7")
async def test_verification_starts_and_judges_while_redis_is_down(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    system = tenancy.system
    await system.servers.valkey.stop()
    try:
        await system.stop_service("verification")
        await system.start_service("verification")
        accepted = await tenancy.verify(person, person.next_code())
        again = await tenancy.verify(person, person.code_in_use())
    finally:
        await system.servers.valkey.start()

    assert accepted.status_code == 200
    assert again.status_code == 403


@pytest.mark.security("S6")
async def test_a_revoked_key_opens_nothing_after_the_answer_also_with_kafka_down(
    tenancy: Tenancy,
) -> None:
    person = await tenancy.enrolled()
    path = f"/v1/applications/{tenancy.application_id}"
    shown = await tenancy.http.get(path, headers={"Authorization": f"Bearer {tenancy.manage_key}"})
    (key,) = shown.json()["keys"]
    kafka = tenancy.system.servers.kafka
    await kafka.stop()
    try:
        await tenancy.effective(
            f"{path}/keys/{key['key_id']}", {}, key=tenancy.manage_key, method="DELETE"
        )
        answers = [
            await tenancy.verify(person, person.next_code()),
            await tenancy.ask("/v1/enrollments", {"subject": person.name, "factor": "totp"}),
            await tenancy.ask(
                "/v1/recoveries", {"subject": person.name, "recovery_key": person.recovery_key}
            ),
        ]
    finally:
        await kafka.start()

    assert [answer.status_code for answer in answers] == [401, 401, 401]
