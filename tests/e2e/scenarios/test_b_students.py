"""Section B: the same university, its students: everybody, in every application, from a day on."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from secrets import randbelow
from typing import Any
from zoneinfo import ZoneInfo

import pyotp
import pytest

from tests.e2e.factors import begin, finish, phoned_code, rule
from tests.e2e.people import Tenancy, until

pytestmark = pytest.mark.xdist_group("e2e")

_HERE = ZoneInfo("Europe/Amsterdam")


def _required(name: str, user_type: str, **more: object) -> dict[str, object]:
    match = {"user_types": [user_type]}
    rule = {"name": name, "match": match, "requirement": "required", "factors": ["totp"]}
    return rule | more


@pytest.mark.requirement("B1")
@pytest.mark.requirement("B2")
async def test_students_follow_the_staff_on_a_day(tenancy: Tenancy) -> None:
    now = datetime.now(UTC).astimezone(_HERE).replace(tzinfo=None, microsecond=0)
    tomorrow, yesterday = (now + timedelta(days=days) for days in (1, -1))
    staff = _required("staff", "staff")
    others = {"name": "everybody-else", "requirement": "off"}
    students = _required("students", "student", starts=tomorrow.isoformat())
    first = await tenancy.rules(staff, students, others)
    teacher = await tenancy.person(user_type="staff")
    student = await tenancy.person(user_type="student")
    await tenancy.until_decided(student, "allow")
    of_teacher = await tenancy.decision(teacher)

    begun = students | {"starts": yesterday.isoformat()}
    second = await tenancy.rules(staff, begun, others, replaces=first)

    assert of_teacher == "enroll"
    assert await tenancy.decision(student) == "enroll"
    await tenancy.enroll(student)
    await tenancy.until_decided(student, "challenge")
    assert (await tenancy.verify(student, student.next_code())).status_code == 200
    changes = await tenancy.http.get(
        f"/v1/rules/{second}/changes?since={first}",
        headers={"Authorization": f"Bearer {tenancy.manage_key}"},
    )
    assert changes.json()["changes"] == [
        f"~ students: starts {tomorrow.isoformat()} -> {yesterday.isoformat()}"
    ]


@pytest.mark.requirement("B2")
async def test_students_are_nudged_twice_and_then_must_enroll(tenancy: Tenancy) -> None:
    # Whom nobody knows yet may be a guest, so a decision to enroll says that the student is known.
    guests = {"name": "guests", "match": {"user_types": ["guest"]}, "requirement": "deny"}
    await tenancy.rules(guests, _required("students", "student", skips=2))
    student = await tenancy.person(user_type="student")
    await tenancy.until_decided(student, "enroll")
    subject = {"subject": student.name}
    at_first = (await tenancy.must("/v1/decisions", subject, status=200))["skips_left"]

    lefts = [(await tenancy.must("/v1/skips", subject, status=200))["skips_left"] for _ in range(2)]
    refused = await tenancy.must("/v1/skips", subject, status=409)

    assert (at_first, lefts, refused["code"]) == (2, [1, 0], "nothing_to_skip")
    assert (await tenancy.must("/v1/decisions", subject, status=200))["skips_left"] == 0
    await tenancy.enroll(student)
    await tenancy.until_decided(student, "challenge")
    assert (await tenancy.verify(student, student.next_code())).status_code == 200
    events = await tenancy.events_of(student, until_type="mfa.verified")
    told = [one.data["skips_left"] for one in events if one.type == "mfa.enrollment_skipped"]
    assert told == [1, 0]


@pytest.mark.requirement("B1")
async def test_the_roll_out_is_tried_before_it_begins_and_watched_after(tenancy: Tenancy) -> None:
    ready = await tenancy.person(user_type="student")
    await tenancy.enroll(ready)
    for _ in range(2):
        await tenancy.person(user_type="student")
    await tenancy.person(user_type="staff")
    students = _required("students", "student")
    others = {"name": "everybody-else", "requirement": "off"}
    draft = {"rules": {"rules": [students, others]}}

    async def heard_of_the_phone() -> bool:
        found = await tenancy.must(
            "/v1/rules/simulation", draft, status=200, key=tenancy.manage_key
        )
        return _reach(found) == (3, 1)

    await until(heard_of_the_phone)
    tried = await tenancy.must("/v1/rules/simulation", draft, status=200, key=tenancy.manage_key)
    await tenancy.rules(students, others)
    covered = await tenancy.http.get(
        "/v1/coverage", headers={"Authorization": f"Bearer {tenancy.manage_key}"}
    )

    after = tried["people"]["after"]  # type: ignore[index]
    assert (after["allow"], after["challenge"], after["enroll"]) == (1, 1, 2)
    assert _reach(covered.json()) == (3, 1)


def _reach(found: Mapping[str, Any]) -> tuple[int, int]:
    [students] = [one for one in found["rules"] if one["rule"] == "students"]
    return students["people"], students["ready"]


@pytest.mark.requirement("A4")
async def test_a_number_is_set_up_by_text_message_or_call(tenancy: Tenancy) -> None:
    await tenancy.rules(rule("everybody", "totp", "sms", "voice"))
    person = await tenancy.person(language="nl")
    digits = str(randbelow(10**7)).zfill(7)
    mobile, fixed = f"+3161{digits}", f"+3120{digits}"

    by_text = await begin(tenancy, person, "sms", number=f"06 1{digits}", region="NL")
    written = await phoned_code(tenancy, mobile, kind="sms")
    await finish(tenancy, person, by_text, written)
    by_call = await begin(tenancy, person, "voice", number=fixed)
    spoken = await phoned_code(tenancy, fixed, kind="voice")
    await finish(tenancy, person, by_call, spoken)

    assert by_text.shown["sent_to"] == f"+31 •••••••{digits[-2:]}"
    search = {"subject": person.name}
    listed = (await tenancy.must("/v1/authenticators/search", search, status=200))["authenticators"]
    assert isinstance(listed, list)
    assert [one["factor"] for one in listed] == ["sms", "voice"]
    events = await tenancy.events_of(person, until_type="mfa.code_sent")
    assert digits not in str(events)


@pytest.mark.requirement("B2")
async def test_what_was_begun_on_the_pc_goes_on_on_the_phone(tenancy: Tenancy) -> None:
    await tenancy.rules(rule("everybody", "totp"))
    person = await tenancy.person()
    begun = await begin(tenancy, person, "totp")

    out = await tenancy.must(f"{begun.path}/handover", {}, status=201)
    path = "/v1/enrollments/continuation"
    typed = {"subject": person.name, "code": out["code"]}
    on_the_phone = await tenancy.must(path, typed, status=200)
    again = await tenancy.ask(path, {"link_token": out["link_token"]})
    phone = pyotp.parse_uri(str(on_the_phone["otpauth_uri"]))
    assert isinstance(phone, pyotp.TOTP)
    await finish(tenancy, person, begun, phone.now())

    assert on_the_phone["key"] == begun.shown["key"]
    assert again.status_code == 410
    await tenancy.until_decided(person, "challenge")
