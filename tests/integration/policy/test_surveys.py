"""What rules would mean, through the public API."""

import asyncio
import json
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.vocabulary import Factor
from services.policy.api.surveys import Looking
from services.policy.domain.survey import survey
from services.policy.store import people as store
from services.policy.use_cases import surveys
from tests.integration.policy.bench import Api, Bench, Tenant
from tests.integration.policy.surveying import application, has, logged_in, person, required

pytestmark = pytest.mark.requirement("B1")


async def simulated(tenant: Tenant, *rules: Any, **said: Any) -> dict[str, Any]:
    body = {"rules": {"rules": rules}} | said
    answer = await tenant.api("POST", "/v1/rules/simulation", body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def counts(tally: dict[str, int]) -> dict[str, int]:
    return {fate: people for fate, people in tally.items() if people}


async def test_a_draft_shows_who_would_be_asked_and_who_has_to_enroll(
    bench: Bench, tenant: Tenant
) -> None:
    about = await application(tenant)
    ready, unready = [await person(tenant, user_type="student") for _ in range(2)]
    await person(tenant, user_type="staff")
    await has(bench, tenant, ready, Factor.TOTP)
    before = await bench.announced(tenant.tenant_id)

    found = await simulated(tenant, required("students", "student"))

    assert counts(found["people"]["before"]) == {"allow": 3}
    assert counts(found["people"]["after"]) == {"allow": 1, "challenge": 1, "enroll": 1}
    assert found["people"]["moves"] == [
        {"before": "allow", "after": "challenge", "people": 1},
        {"before": "allow", "after": "enroll", "people": 1},
    ]
    assert [one["application_id"] for one in found["applications"]] == [str(about)]
    assert found["rules"] == [
        {"rule": "students", "asks": "required", "people": 2, "ready": 1, "not_ready": 1}
    ]
    assert await bench.announced(tenant.tenant_id) == before, "looking changes nothing"
    listed = await _listed(tenant, "enroll", required("students", "student"))
    assert listed == [str(unready)]


async def test_a_draft_is_looked_at_for_any_moment(bench: Bench, tenant: Tenant) -> None:
    await application(tenant)
    await person(tenant, user_type="student")
    now = bench.plumbing.clock().replace(microsecond=0)
    starts, enforced = now + timedelta(days=2), now + timedelta(days=9)
    nudge = required(
        "students",
        "student",
        starts=starts.replace(tzinfo=None).isoformat(),
        skips=3,
        enforced=enforced.replace(tzinfo=None).isoformat(),
    )

    met = [
        counts((await simulated(tenant, nudge, at=at.isoformat()))["people"]["after"])
        for at in (starts - timedelta(seconds=1), starts, enforced)
    ]
    moments = (await simulated(tenant, nudge))["moments"]

    assert met == [{"allow": 1}, {"put_off": 1}, {"enroll": 1}]
    assert moments == [one.isoformat().replace("+00:00", "Z") for one in (starts, enforced)]


async def test_logins_of_the_last_days_are_gone_through_again(bench: Bench, tenant: Tenant) -> None:
    about = await application(tenant)
    anna, ben = [await person(tenant, user_type="student") for _ in range(2)]
    await has(bench, tenant, anna, Factor.TOTP)
    await has(bench, tenant, ben, Factor.SMS)
    long_ago = bench.plumbing.clock() - timedelta(days=8)
    await logged_in(bench, tenant, anna, about, Factor.TOTP, 5)
    await logged_in(bench, tenant, ben, about, Factor.SMS, 4)
    await logged_in(bench, tenant, ben, about, Factor.SMS, 40, at=long_ago)
    both = required("students", "student", factors=["totp", "sms"])

    found = await simulated(tenant, both, days=7, prices={"sms": "0.075"})

    assert found["logins"] == {
        "days": 7,
        "observed": 9,
        "as_before": 9,
        "by_another_factor": 0,
        "not_asked": 0,
        "enrolling": 0,
        "denied": 0,
        "messages": {"sms": 4, "voice": 0},
        "cost": "0.300",
    }
    assert (await simulated(tenant, both, days=9))["logins"]["messages"]["sms"] == 44


async def test_coverage_says_who_is_ready_for_the_rules_in_force(
    bench: Bench, tenant: Tenant
) -> None:
    await application(tenant)
    subjects = [await person(tenant, groups=["physics"]) for _ in range(3)]
    await has(bench, tenant, subjects[0], Factor.TOTP)
    rule = required("physics", "-", match={"groups": ["physics", "maths"]})
    written = {"rules": {"rules": [rule]}, "reason": "To begin with"}
    await tenant.api("POST", "/v1/rules", written)
    publication = {"replaces": None, "reason": "To begin with"}
    await tenant.api("POST", "/v1/rules/1/publication", publication)

    found = (await tenant.api("GET", "/v1/coverage")).json()

    [physics] = found["rules"]
    assert (physics["people"], physics["ready"], physics["not_ready"]) == (3, 1, 2)
    assert counts(found["people"]["before"]) == counts(found["people"]["after"])


async def test_pages_of_people_end_and_leave_nobody_out(
    bench: Bench, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "_PAGE", 3)
    monkeypatch.setattr(surveys, "_LISTED", 3)
    await application(tenant)
    everybody = {str(await person(tenant, user_type="student")) for _ in range(7)}

    found = await simulated(tenant, required("students", "student"))
    listed = await _listed(tenant, "enroll", required("students", "student"), limit=2)

    assert counts(found["people"]["after"]) == {"enroll": 7}
    assert (set(listed), len(listed)) == (everybody, 7)
    assert await _listed(tenant, "deny", required("students", "student")) == []


async def test_progress_is_said_line_by_line(
    bench: Bench, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "_PAGE", 2)
    await application(tenant)
    for _ in range(5):
        await person(tenant)
    headers = {"Authorization": f"Bearer {tenant.api.key}", "Accept": "text/event-stream"}

    answer = await bench.http.post(
        "/v1/rules/simulation", json={"rules": {"rules": []}}, headers=headers
    )

    *progress, last = [
        json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n")[:-1]
    ]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert progress == [{"done": done, "of": 5} for done in (2, 4, 5)]
    assert counts(last["result"]["people"]["after"]) == {"allow": 5}


async def test_a_tenant_looks_once_at_a_time(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    counted = store.count_people

    async def waits(*place: Any) -> int:
        begun.set()
        await go_on.wait()
        return await counted(*place)

    with monkeypatch.context() as patched:
        patched.setattr(store, "count_people", waits)
        first = asyncio.create_task(simulated(tenant))
        await begun.wait()
        second = await tenant.api("POST", "/v1/rules/simulation", {"rules": {"rules": []}})
        go_on.set()
        await first

    assert (second.status_code, second.json()["code"]) == (429, "too_many_requests")
    assert (await tenant.api("GET", "/v1/coverage")).status_code == 200, "and then again"


async def test_what_takes_long_is_done_beside_the_event_loop(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await application(tenant)
    await person(tenant, user_type="student")
    threads: dict[str, set[int]] = {}

    def noting(name: str) -> Any:
        done = getattr(surveys, name)

        def noted(*said: Any, **more: Any) -> Any:
            threads.setdefault(name, set()).add(threading.get_ident())
            return done(*said, **more)

        return noted

    for name in ("ways_of", "survey", "fate_at"):
        monkeypatch.setattr(surveys, name, noting(name))

    await simulated(tenant, required("students", "student"))
    await _listed(tenant, "enroll", required("students", "student"))

    assert threads.keys() == {"ways_of", "survey", "fate_at"}
    assert threading.get_ident() not in set().union(*threads.values())


async def test_whoever_goes_away_leaves_one_portion_behind(
    bench: Bench, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await application(tenant)
    words = [f"type{number}" for number in range(4)]
    for word in words:
        await person(tenant, user_type=word)
    begun, go_on, looked_at = asyncio.Event(), threading.Event(), list[int]()
    loop, whole = asyncio.get_running_loop(), survey

    def waits(people: Any, *said: Any, **more: Any) -> Any:
        looked_at.append(len(people))
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        return whole(people, *said, **more)

    monkeypatch.setattr(surveys, "survey", waits)
    monkeypatch.setattr(surveys, "_AT_ONCE", 1)
    rule = required("all", "", match={"user_types": words})
    going = asyncio.create_task(simulated(tenant, rule))
    await begun.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    go_on.set()

    assert looked_at == [1]
    assert (await simulated(tenant, rule))["people"]["after"]["enroll"] == 4
    assert looked_at == [1] * 5


async def test_whoever_does_not_read_the_result_keeps_nobody_waiting(
    bench: Bench, tenant: Tenant
) -> None:
    looking = Looking(surveys.Surveys(bench.plumbing.app_pool, bench.plumbing.clock))
    draft = surveys.Draft(bench.plumbing.clock(), days=1)

    _, unread = await looking.steps(tenant.tenant_id, draft)
    result = await anext(unread)
    again, _ = await looking.steps(tenant.tenant_id, draft)

    assert isinstance(result, surveys.Surveyed)
    assert again == surveys.Progress(0, 0)


async def test_people_who_differ_are_not_all_kept_in_memory(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveys, "_PAGE", 2)
    monkeypatch.setattr(surveys, "_MOST_ALIKE", 3)
    await application(tenant)
    words = [f"type{number}" for number in range(7)]
    for word in words:
        await person(tenant, user_type=word)
    whole, kept = survey, list[int]()

    def noted(people: Any, *said: Any, **more: Any) -> Any:
        kept.append(len(people))
        return whole(people, *said, **more)

    monkeypatch.setattr(surveys, "survey", noted)
    found = await simulated(tenant, required("all", "", match={"user_types": words}))

    assert kept == [4, 3]
    assert counts(found["people"]["after"]) == {"enroll": 7}


async def test_other_tenants_people_do_not_count(bench: Bench, tenant: Tenant) -> None:
    other = await bench.new_tenant()
    about = await application(other)
    theirs = await person(other, user_type="student")
    await has(bench, other, theirs, Factor.TOTP)
    await logged_in(bench, other, theirs, about, Factor.TOTP, 5)
    await application(tenant)

    found = await simulated(tenant, required("students", "student"))

    assert counts(found["people"]["after"]) == {}
    assert found["logins"]["observed"] == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version": 9}, 404, "not_found"),
        ({"version": 1, "rules": {"rules": []}}, 422, "malformed_request"),
        ({"at": "2027-02-01T08:00"}, 422, "malformed_request"),
        ({"days": 0}, 422, "malformed_request"),
        ({"days": 91}, 422, "malformed_request"),
        ({"prices": {"totp": 1}}, 422, "malformed_request"),
        ({"prices": {"sms": -1}}, 422, "malformed_request"),
        ({"rules": {"rules": [{"name": "all", "requirement": "required"}]}}, 422, "mistakes"),
    ],
)
async def test_says_what_is_wrong(tenant: Tenant, body: Any, status: int, code: str) -> None:
    answer = await tenant.api("POST", "/v1/rules/simulation", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_whoever_may_only_verify_sees_nothing_of_it(bench: Bench, tenant: Tenant) -> None:
    body = {"name": "Payroll", "scopes": ["verify", "enroll"]}
    made = (await tenant.api("POST", "/v1/applications", body)).json()
    api = Api(bench.http, made["key"])

    assert (await api("GET", "/v1/coverage")).status_code == 403
    assert (await api("POST", "/v1/rules/simulation", {})).status_code == 403


async def _listed(tenant: Tenant, meet: str, *rules: Any, limit: int = 100) -> list[str]:
    found: list[str] = []
    after: str | None = str(UUID(int=0))
    while after is not None:
        body = {"rules": {"rules": rules}, "meet": meet, "after": after, "limit": limit}
        answer = (await tenant.api("POST", "/v1/rules/simulation/people", body)).json()
        found += answer["subject_refs"]
        after = answer["next_after"]
    return found


async def test_nobody_is_listed_after_the_last(tenant: Tenant) -> None:
    await application(tenant)
    body = {"meet": "allow", "after": str(uuid4())}

    answer = (await tenant.api("POST", "/v1/rules/simulation/people", body)).json()

    assert answer == {"subject_refs": [], "next_after": None}
