"""A tenant's rules, through the public API."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from contracts.envelope import data_of
from contracts.policy import ENFORCEMENT_DUE, POLICY_STATE, RULES_PUBLISHED, RULES_WRITTEN
from libs.postgres.pool import tenant_transaction
from services.policy.use_cases.calendar import Calendar
from tests.fixtures.services import TestClock
from tests.integration.policy.bench import Bench, Tenant

_ALL = {"name": "all", "requirement": "required", "factors": ["totp"]}
_OFF = {"name": "nobody", "requirement": "off"}


async def _written(tenant: Tenant, *rules: dict[str, Any], reason: str = "We decided so") -> Any:
    body = {"rules": {"time_zone": "Europe/Amsterdam", "rules": rules}, "reason": reason}
    return await tenant.api("POST", "/v1/rules", body)


async def _published(tenant: Tenant, version: int, replaces: int | None) -> Any:
    body = {"replaces": replaces, "reason": "It is time"}
    return await tenant.api("POST", f"/v1/rules/{version}/publication", body)


async def _states(bench: Bench, tenant: Tenant) -> list[tuple[int, int | None, list[str]]]:
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    states = [data_of(POLICY_STATE, one) for one in said if one.type == POLICY_STATE.name]
    return [
        (one.version, one.rules_version, [rule.name for rule in one.rules])
        for one in states
        if one.application_id == tenant.application_id
    ]


async def test_a_version_changes_nothing_before_it_is_published(
    bench: Bench, tenant: Tenant
) -> None:
    before = await bench.announced(tenant.tenant_id)

    written = await _written(tenant, _ALL)

    assert written.status_code == 201, written.text
    assert written.json()["version"] == 1
    assert not written.json()["in_force"]
    assert written.json()["publications"] == []
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    assert [one.type for one in said if one.id not in {event.id for _, event in before}] == [
        RULES_WRITTEN.name
    ]


async def test_publication_gives_every_application_its_rules(bench: Bench, tenant: Tenant) -> None:
    mail = (await tenant.api("POST", "/v1/applications", {"name": "Mail"})).json()
    only_mail = _ALL | {"name": "mail", "match": {"applications": [mail["application_id"]]}}
    digest = (await _written(tenant, only_mail, _OFF)).json()["digest"]

    published = await _published(tenant, 1, None)

    assert published.status_code == 200, published.text
    assert published.json()["in_force"]
    assert [one["reason"] for one in published.json()["publications"]] == ["It is time"]
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    [fact] = [data_of(RULES_PUBLISHED, one) for one in said if one.type == RULES_PUBLISHED.name]
    assert (fact.version, fact.digest, fact.replaced) == (1, digest, None)
    newest = {
        state.application_id: state
        for state in (data_of(POLICY_STATE, one) for one in said if one.type == POLICY_STATE.name)
    }
    assert {state.rules_digest for state in newest.values()} == {digest}
    names = {about: [rule.name for rule in one.rules] for about, one in newest.items()}
    assert names[tenant.application_id] == ["nobody"]
    assert sorted(names.values()) == [["mail", "nobody"], ["nobody"]]
    assert "It is time" not in "".join(str(event) for event in said)


async def test_the_rules_in_force_are_also_those_of_a_new_application(
    bench: Bench, tenant: Tenant
) -> None:
    await _written(tenant, _ALL)
    await _published(tenant, 1, None)

    made = (await tenant.api("POST", "/v1/applications", {"name": "Mail"})).json()

    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    states = [data_of(POLICY_STATE, one) for one in said if one.type == POLICY_STATE.name]
    [state] = [one for one in states if str(one.application_id) == made["application_id"]]
    assert [rule.name for rule in state.rules] == ["all"]
    changed = await tenant.api(
        "PUT", f"/v1/policies/{made['application_id']}", {"requirement": "off", "factors": []}
    )
    assert changed.status_code == 200
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    last = [data_of(POLICY_STATE, one) for one in said if one.type == POLICY_STATE.name][-1]
    assert [rule.name for rule in last.rules] == ["all"], "its own terms do not end the rules"


async def test_an_older_version_can_come_back(bench: Bench, tenant: Tenant) -> None:
    for rules in ([_ALL], [_OFF, _ALL]):
        await _written(tenant, *rules)
    await _published(tenant, 1, None)
    await _published(tenant, 2, 1)

    back = await _published(tenant, 1, 2)

    assert (back.status_code, len(back.json()["publications"])) == (200, 2)
    assert await _states(bench, tenant) == [
        (1, None, []),
        (2, 1, ["all"]),
        (3, 2, ["nobody", "all"]),
        (4, 1, ["all"]),
    ]


async def test_what_is_in_force_is_not_announced_again(bench: Bench, tenant: Tenant) -> None:
    await _written(tenant, _ALL)
    await _published(tenant, 1, None)
    before = await bench.announced(tenant.tenant_id)

    again = await _published(tenant, 1, None)

    assert (again.status_code, again.json()["in_force"]) == (200, True)
    assert await bench.announced(tenant.tenant_id) == before


async def test_nobody_overwrites_what_they_have_not_seen(tenant: Tenant) -> None:
    for rules in ([_ALL], [_OFF], [_OFF, _ALL]):
        await _written(tenant, *rules)
    await _published(tenant, 1, None)

    answers = await asyncio.gather(_published(tenant, 2, 1), _published(tenant, 3, 1))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["code"] == "other_rules_in_force"


async def test_an_application_that_comes_meanwhile_is_not_missed(
    bench: Bench, tenant: Tenant
) -> None:
    await _written(tenant, _ALL)

    made, *_ = await asyncio.gather(
        *(tenant.api("POST", "/v1/applications", {"name": f"App {n}"}) for n in range(5)),
        _published(tenant, 1, None),
    )

    assert made.status_code == 201
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    newest = {
        state.application_id: state.rules_version
        for state in (data_of(POLICY_STATE, one) for one in said if one.type == POLICY_STATE.name)
    }
    assert set(newest.values()) == {1}
    assert len(newest) == 6


async def test_says_what_would_change(tenant: Tenant) -> None:
    for rules in ([_ALL], [_ALL | {"requirement": "optional"}]):
        await _written(tenant, *rules)

    first = await tenant.api("GET", "/v1/rules/1/changes")
    await _published(tenant, 1, None)
    second = await tenant.api("GET", "/v1/rules/2/changes")
    back = await tenant.api("GET", "/v1/rules/1/changes?since=2")

    added = "+ all: added at place 1, requirement required, factors totp"
    assert first.json() == {"changes": ["time_zone: UTC -> Europe/Amsterdam", added]}
    assert second.json() == {"changes": ["~ all: requirement required -> optional"]}
    assert back.json() == {"changes": ["~ all: requirement optional -> required"]}


async def test_refuses_mistakes_with_words(tenant: Tenant) -> None:
    refused = await _written(tenant, _ALL | {"factors": []}, _ALL)

    assert (refused.status_code, refused.json()["code"]) == (422, "mistakes")
    assert refused.json()["errors"] == [
        "all: two rules have this name",
        "all: it allows no factor",
    ]
    assert (await tenant.api("GET", "/v1/rules")).json()["versions"] == []


async def test_lists_versions_page_by_page(tenant: Tenant) -> None:
    for number in range(5):
        await _written(tenant, _ALL, reason=f"Reason {number + 1}")

    first = (await tenant.api("GET", "/v1/rules?limit=3")).json()
    rest = (await tenant.api("GET", f"/v1/rules?limit=3&before={first['next_before']}")).json()

    assert [one["version"] for one in first["versions"] + rest["versions"]] == [5, 4, 3, 2, 1]
    assert rest["next_before"] is None
    assert rest["versions"][-1]["reason"] == "Reason 1"


async def test_the_version_can_be_read_back_as_it_was_written(tenant: Tenant) -> None:
    rule = _ALL | {"starts": "2027-02-01T08:00:00", "match": {"groups": ["Zürich"]}}
    await _written(tenant, rule)

    read = (await tenant.api("GET", "/v1/rules/1")).json()
    again = await tenant.api("POST", "/v1/rules", {"rules": read["rules"], "reason": "Again"})

    assert read["rules"]["rules"][0]["match"]["groups"] == ["Zürich"]
    assert again.json()["digest"] == read["digest"]


@pytest.mark.requirement("B1")
async def test_it_is_said_two_weeks_one_week_and_one_day_ahead(
    bench: Bench, tenant: Tenant
) -> None:
    now = datetime.now(UTC)
    starts = (now + timedelta(days=20)).astimezone(ZoneInfo("Europe/Amsterdam"))
    students = _ALL | {"name": "students", "starts": starts.replace(tzinfo=None).isoformat()}
    quiet = students | {"name": "by-choice", "requirement": "optional"}
    await _written(tenant, students, quiet, _OFF)
    await _published(tenant, 1, None)

    for day in (0, 5.9, 6.1, 6.2, 12.9, 13.1, 18.9, 19.1, 19.9, 20.1, 30):
        later = TestClock(timedelta(days=day))
        pools = (bench.plumbing.app_pool, bench.plumbing.worker_pool)
        # Two processes look at once.
        await asyncio.gather(*(Calendar(*pools, later).look() for _ in range(2)))

    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    due = [data_of(ENFORCEMENT_DUE, one) for one in said if one.type == ENFORCEMENT_DUE.name]
    assert [(one.rule, one.days) for one in due] == [
        ("students", 14),
        ("students", 7),
        ("students", 1),
    ]
    assert {one.starts for one in due} == {starts.astimezone(UTC)}


async def test_a_start_is_announced_once_in_whatever_version_it_stands(
    bench: Bench, tenant: Tenant
) -> None:
    soon = (datetime.now(ZoneInfo("Europe/Amsterdam")) + timedelta(days=5)).replace(tzinfo=None)
    later = (soon + timedelta(days=1)).isoformat()
    rule = _ALL | {"name": "students", "starts": soon.isoformat()}
    pools, clock = (bench.plumbing.app_pool, bench.plumbing.worker_pool), bench.plumbing.clock

    texts: list[list[dict[str, Any]]] = [[rule], [_OFF, rule], [rule | {"starts": later}]]
    for version, rules in enumerate(texts, start=1):
        await _written(tenant, *rules)
        published = await _published(tenant, version, version - 1 or None)
        assert published.status_code == 200, published.text
        await Calendar(*pools, clock).look()

    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    due = [data_of(ENFORCEMENT_DUE, one) for one in said if one.type == ENFORCEMENT_DUE.name]
    assert [(one.version, one.days) for one in due] == [(1, 7), (3, 7)]


@pytest.mark.security("S6")
async def test_another_tenant_sees_and_publishes_nothing(bench: Bench, tenant: Tenant) -> None:
    await _written(tenant, _ALL)
    other = await bench.new_tenant()

    assert (await other.api("GET", "/v1/rules")).json()["versions"] == []
    for method, path in (("GET", "/v1/rules/1"), ("GET", "/v1/rules/1/changes")):
        assert (await other.api(method, path)).status_code == 404
    assert (await _published(other, 1, None)).status_code == 404
    mine = {"name": "mine", "match": {"applications": [str(tenant.application_id)]}} | _OFF
    assert (await _written(other, mine)).json()["code"] == "mistakes"


async def test_not_even_policy_can_change_a_version(bench: Bench, tenant: Tenant) -> None:
    await _written(tenant, _ALL)

    for statement in ("UPDATE rules_version SET reason = 'x'", "DELETE FROM rules_version"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant_transaction(bench.plumbing.app_pool, tenant.tenant_id) as tx:
                await tx.execute(statement)


async def test_a_version_that_is_not_there(tenant: Tenant) -> None:
    assert (await tenant.api("GET", "/v1/rules/7")).status_code == 404
    assert (await _published(tenant, 7, None)).status_code == 404
    assert (await tenant.api("GET", "/v1/rules/0")).status_code == 422
    assert (await tenant.api("GET", f"/v1/rules/{2**31}")).status_code == 422
    assert (await tenant.api("GET", f"/v1/rules/{uuid4()}")).status_code == 422
