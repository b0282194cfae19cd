"""What weakens waits for another person who owns the tenant."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from contracts.roles import Role
from libs.web.api_keys import digest_of
from tests.fixtures.services import TestClock
from tests.integration.policy.bench import Api, Bench, FakeKeepers, Tenant
from tests.integration.policy.people import (
    Person,
    a_person,
    a_subject,
    as_person,
    issue,
    key_path,
    two_owners,
)
from tests.integration.policy.test_rules import _ALL, _OFF, _published, _written

pytestmark = pytest.mark.requirement("C1")
_OFF_TERMS = {"requirement": "off", "factors": []}


async def test_weaker_rules_wait_and_come_with_the_approval(bench: Bench, tenant: Tenant) -> None:
    anna, bert = await _with_rules(tenant)

    waiting = await _published(anna.tenant, 2, 1)

    assert waiting.status_code == 202, waiting.text
    proposal = waiting.json()
    assert (proposal["status"], proposal["act"]) == ("waiting", "publish_rules")
    assert proposal["because"] == ["nobody instead of all: off instead of required"]
    assert proposal["content"] == {"version": 2, "replaces": 1, "reason": "It is time"}
    assert await _in_force(tenant) == 1

    approved = await _approve(bert, proposal)

    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    assert approved.json()["decided_by"] == bert.key_id
    assert await _in_force(tenant) == 2
    shown = (await tenant.api("GET", "/v1/rules/2")).json()["publications"]
    assert [one["published_by"] for one in shown] == [anna.key_id]
    assert await _said(bench, tenant) == [
        ("mfa.approval_requested", {"requested_by": anna.key_id}),
        ("mfa.approval_given", {"requested_by": anna.key_id, "given_by": bert.key_id}),
    ]


async def test_stronger_rules_and_everything_without_four_eyes_do_not_wait(
    tenant: Tenant,
) -> None:
    await _written(tenant, _ALL)
    await _written(tenant, _OFF)
    assert (await _published(tenant, 2, None)).status_code == 200
    anna, _ = await two_owners(tenant)

    assert (await _published(anna.tenant, 1, 2)).status_code == 200
    assert (await _published(anna.tenant, 1, 1)).status_code == 200
    back = await _published(anna.tenant, 2, 1)
    assert back.status_code == 202, "an older version is as weak as it was"


async def test_a_weaker_policy_waits_unless_rules_decide_anyway(tenant: Tenant) -> None:
    anna, bert = await two_owners(tenant)
    path = f"/v1/policies/{tenant.application_id}"

    waiting = await anna.api("PUT", path, _OFF_TERMS)

    assert waiting.status_code == 202
    assert waiting.json()["because"] == ["the application's own policy: off instead of required"]
    assert (await anna.api("GET", path)).json()["requirement"] == "required"
    assert (await _approve(bert, waiting.json())).status_code == 200
    assert (await anna.api("GET", path)).json()["requirement"] == "off"
    again = await anna.api("PUT", path, {"requirement": "required", "factors": ["totp"]})
    assert again.status_code == 200
    await _written(anna.tenant, _ALL)
    assert (await _published(anna.tenant, 1, None)).status_code == 200
    assert (await anna.api("PUT", path, _OFF_TERMS)).status_code == 200


async def test_a_new_owner_waits_with_a_key_that_opens_nothing_yet(
    bench: Bench, tenant: Tenant
) -> None:
    anna, bert = await two_owners(tenant)
    clara = await a_subject(tenant)

    waiting = await issue(anna.tenant, role="owner", holder=clara)

    assert waiting.status_code == 202
    new = as_person(tenant, clara, waiting.json())
    assert (await new.api("GET", "/v1/settings")).status_code == 401
    shown = await bert.api("GET", _path(waiting.json()))
    assert shown.json()["content"]["holder"] == clara
    for text in (shown.text, (await bert.api("GET", "/v1/proposals")).text):
        assert new.api.key not in text
        assert digest_of(new.api.key) not in text
    assert (await _approve(bert, waiting.json())).status_code == 200
    assert (await new.api("GET", "/v1/settings")).status_code == 200
    keys = (await tenant.api("GET", f"/v1/applications/{tenant.application_id}")).json()["keys"]
    [made] = [key for key in keys if key["key_id"] == new.key_id]
    assert (made["role"], made["holder"], made["scopes"]) == ("owner", clara, ["manage"])


async def test_other_keys_do_not_wait(tenant: Tenant) -> None:
    anna, _ = await two_owners(tenant)

    for role in (Role.ADMINISTRATOR, Role.SERVICE_DESK, Role.AUDITOR):
        await a_person(anna.tenant, role)


async def test_an_application_comes_with_the_standard_policy_and_no_owner(
    tenant: Tenant,
) -> None:
    anna, _ = await two_owners(tenant)
    owner = {"role": "owner", "holder": anna.subject_ref}

    for more in ({"policy": _OFF_TERMS}, owner):
        refused = await anna.api("POST", "/v1/applications", {"name": "Mail"} | more)
        assert (refused.status_code, refused.json()["code"]) == (409, "four_eyes")
    assert (await anna.api("POST", "/v1/applications", {"name": "Mail"})).status_code == 201


async def test_four_eyes_are_switched_off_by_two(bench: Bench, tenant: Tenant) -> None:
    anna, bert = await two_owners(tenant)

    waiting = await anna.api("PUT", "/v1/settings", {"four_eyes": False})

    assert (waiting.status_code, waiting.json()["because"]) == (202, ["each owner acts alone"])
    assert (await anna.api("GET", "/v1/settings")).json()["four_eyes"] is True
    assert (await _approve(bert, waiting.json())).status_code == 200
    assert (await anna.api("GET", "/v1/settings")).json() == {"four_eyes": False, "version": 3}


async def test_one_person_with_two_keys_is_one_person(tenant: Tenant) -> None:
    annas_other = await a_person(tenant, Role.OWNER)
    anna = await a_person(tenant, Role.OWNER, annas_other.subject_ref)
    await two_owners(tenant)
    waiting = (await anna.api("PUT", "/v1/settings", {"four_eyes": False})).json()

    for who in (anna, annas_other, Person("", "", tenant)):
        refused = await _approve(who, waiting)
        assert (refused.status_code, refused.json()["code"]) == (403, "second_person_needed")
    assert (await anna.api("GET", "/v1/settings")).json()["four_eyes"] is True


async def test_a_key_that_is_nobodys_proposes_nothing(tenant: Tenant) -> None:
    await two_owners(tenant)

    refused = await tenant.api("PUT", "/v1/settings", {"four_eyes": False})

    assert (refused.status_code, refused.json()["code"]) == (403, "holder_needed")
    assert (await tenant.api("GET", "/v1/proposals")).json()["proposals"] == []


async def test_what_was_compared_with_other_rules_is_stale(tenant: Tenant) -> None:
    anna, bert = await _with_rules(tenant)
    waiting = (await _published(anna.tenant, 2, 1)).json()
    stricter = {"name": "first", "requirement": "required", "factors": ["totp"]}
    await _written(tenant, stricter, _ALL)
    assert (await _published(anna.tenant, 3, 1)).status_code == 200
    assert (await _published(anna.tenant, 1, 3)).status_code == 200, "the same rules again"

    refused = await _approve(bert, waiting)

    assert (refused.status_code, refused.json()["code"]) == (409, "proposal_stale")
    assert await _in_force(tenant) == 1


async def test_what_now_weakens_more_than_was_said_is_stale(tenant: Tenant) -> None:
    anna, bert = await _with_rules(tenant)
    mail = (await tenant.api("POST", "/v1/applications", {"name": "Mail"})).json()
    about_mail = _OFF | {"match": {"applications": [mail["application_id"]]}}
    await _written(tenant, about_mail)
    first = await anna.api("PUT", f"/v1/policies/{mail['application_id']}", _OFF_TERMS)
    assert first.status_code == 200, "the rules decide"
    waiting = (await _published(anna.tenant, 3, 1)).json()
    path = f"/v1/policies/{tenant.application_id}"
    assert (await anna.api("PUT", path, _OFF_TERMS)).status_code == 200

    refused = await _approve(bert, waiting)

    assert (refused.status_code, refused.json()["code"]) == (409, "proposal_stale")


async def test_what_an_application_asks_by_itself_is_compared_too(tenant: Tenant) -> None:
    await _written(tenant, _ALL)
    await _written(tenant)
    await _published(tenant, 1, None)
    anna, bert = await two_owners(tenant)
    mail = (await tenant.api("POST", "/v1/applications", {"name": "Mail"})).json()
    first = await anna.api("PUT", f"/v1/policies/{mail['application_id']}", _OFF_TERMS)
    assert first.status_code == 200, "the rules decide"
    waiting = (await _published(anna.tenant, 2, 1)).json()
    assert len(waiting["because"]) == 1
    path = f"/v1/policies/{tenant.application_id}"
    assert (await anna.api("PUT", path, _OFF_TERMS)).status_code == 200, "and here"

    refused = await _approve(bert, waiting)

    assert (refused.status_code, refused.json()["code"]) == (409, "proposal_stale")
    again = (await _published(anna.tenant, 2, 1)).json()
    await tenant.api("POST", "/v1/applications", {"name": "Payroll"})
    assert (await _approve(bert, again)).status_code == 200, "a new one asks what all do"


async def test_a_policy_that_changed_meanwhile_is_stale(tenant: Tenant) -> None:
    anna, bert = await two_owners(tenant)
    path = f"/v1/policies/{tenant.application_id}"
    waiting = (await anna.api("PUT", path, _OFF_TERMS)).json()
    other = (await bert.api("PUT", path, {"requirement": "off", "factors": ["totp"]})).json()
    assert (await _approve(anna, other)).status_code == 200

    refused = await _approve(bert, waiting)

    assert (refused.status_code, refused.json()["code"]) == (409, "proposal_stale")


async def test_what_a_revoked_key_proposed_is_not_done(bench: Bench) -> None:
    keepers = httpx2.ASGITransport(FakeKeepers(bench.identities).app())
    tenant = await bench.new_tenant(bench.with_keepers(keepers))
    await a_person(tenant, Role.OWNER)
    anna, bert = await two_owners(tenant)
    waiting = (await anna.api("PUT", "/v1/settings", {"four_eyes": False})).json()
    assert (await bert.api("DELETE", key_path(tenant, anna.key_id))).status_code == 200

    refused = await _approve(bert, waiting)

    assert (refused.status_code, refused.json()["code"]) == (409, "proposal_stale")


@pytest.mark.parametrize(
    ("after", "status"),
    [(timedelta(days=7, minutes=-1), 200), (timedelta(days=7, minutes=1), 409)],
)
async def test_nobody_approves_after_a_week(
    bench: Bench, tenant: Tenant, after: timedelta, status: int
) -> None:
    anna, bert = await two_owners(tenant)
    waiting = (await anna.api("PUT", "/v1/settings", {"four_eyes": False})).json()
    later = bench.at(TestClock(after))
    transport = httpx2.ASGITransport(later.listeners.public)

    async with httpx2.AsyncClient(transport=transport, base_url="http://policy") as http:
        answer = await Api(http, bert.api.key)("POST", f"{_path(waiting)}/approval")
        shown = await Api(http, anna.api.key)("GET", _path(waiting))

    assert answer.status_code == status
    assert shown.json()["status"] == ("approved" if status == 200 else "expired")


async def test_an_owner_refuses_or_withdraws(bench: Bench, tenant: Tenant) -> None:
    anna, bert = await two_owners(tenant)
    path = f"/v1/policies/{tenant.application_id}"
    first = (await anna.api("PUT", "/v1/settings", {"four_eyes": False})).json()
    second = (await anna.api("PUT", path, _OFF_TERMS)).json()

    refused = await bert.api("DELETE", _path(first))
    withdrawn = await anna.api("DELETE", _path(second))

    assert [one.status_code for one in (refused, withdrawn)] == [200, 200]
    assert refused.json()["status"] == withdrawn.json()["status"] == "refused"
    for proposal in (first, second):
        for late in (await _approve(bert, proposal), await bert.api("DELETE", _path(proposal))):
            assert (late.status_code, late.json()["code"]) == (409, "proposal_decided")
    assert (await anna.api("GET", "/v1/settings")).json()["four_eyes"] is True
    said = [name for name, _ in await _said(bench, tenant)]
    assert said == ["mfa.approval_requested"] * 2 + ["mfa.approval_refused"] * 2


async def test_two_approvals_at_once_are_one(bench: Bench, tenant: Tenant) -> None:
    clara = await a_person(tenant, Role.OWNER)
    anna, bert = await two_owners(tenant)
    waiting = (await anna.api("PUT", "/v1/settings", {"four_eyes": False})).json()

    answers = await asyncio.gather(*(_approve(who, waiting) for who in (bert, clara, bert)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert [name for name, _ in await _said(bench, tenant)].count("mfa.approval_given") == 1


async def test_the_same_act_waits_once(bench: Bench, tenant: Tenant) -> None:
    anna, bert = await two_owners(tenant)

    first, again, berts = [
        (await who.api("PUT", "/v1/settings", {"four_eyes": False})).json()
        for who in (anna, anna, bert)
    ]

    assert first == again
    assert berts["proposal_id"] != first["proposal_id"]
    listed = (await tenant.api("GET", "/v1/proposals?limit=1")).json()
    assert [one["proposal_id"] for one in listed["proposals"]] == [berts["proposal_id"]]
    rest = await tenant.api("GET", f"/v1/proposals?before={listed['next_before']}")
    assert [one["proposal_id"] for one in rest.json()["proposals"]] == [first["proposal_id"]]
    assert rest.json()["next_before"] is None


async def test_one_key_keeps_a_few_acts_waiting_and_keeps_nobody_else_from_it(
    tenant: Tenant,
) -> None:
    anna, bert = await two_owners(tenant)
    clara = await a_subject(tenant)
    wanted = {"role": "owner", "holder": clara}
    first, *others = [await issue(anna.tenant, **wanted) for _ in range(20)]
    assert {one.status_code for one in (first, *others)} == {202}

    refused = await issue(anna.tenant, **wanted)

    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_proposals")
    assert (await issue(bert.tenant, **wanted)).status_code == 202
    assert (await anna.api("DELETE", _path(first.json()))).status_code == 200
    assert (await issue(anna.tenant, **wanted)).status_code == 202


async def _with_rules(tenant: Tenant) -> tuple[Person, Person]:
    """Have version 1 in force, which requires, and a version 2 that does not."""
    await _written(tenant, _ALL)
    await _written(tenant, _OFF)
    await _published(tenant, 1, None)
    return await two_owners(tenant)


async def _approve(who: Person, proposal: dict[str, Any]) -> httpx2.Response:
    return await who.api("POST", f"{_path(proposal)}/approval")


def _path(proposal: dict[str, Any]) -> str:
    return f"/v1/proposals/{proposal['proposal_id']}"


async def _in_force(tenant: Tenant) -> int | None:
    body: dict[str, object] = {"rules": {"rules": []}}
    version: int | None = (await tenant.api("POST", "/v1/rules/comparison", body)).json()[
        "in_force"
    ]
    return version


async def _said(bench: Bench, tenant: Tenant) -> list[tuple[str, dict[str, Any]]]:
    """Return what was announced of proposals, and by whom."""
    return [
        (event.type, {name: by for name, by in event.data.items() if name.endswith("_by")})
        for _, event in await bench.announced(tenant.tenant_id)
        if event.type.startswith("mfa.approval_")
    ]
