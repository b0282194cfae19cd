"""Who may do what: whose key it is counts."""

import asyncio
from uuid import uuid4

import httpx2
import pytest

from contracts.envelope import data_of
from contracts.policy import APPLICATION_STATE
from contracts.roles import Role
from contracts.vocabulary import Service
from tests.integration.policy.bench import Api, Bench, FakeKeepers, Tenant
from tests.integration.policy.people import (
    a_person,
    a_subject,
    issue,
    key_path,
    two_owners,
)
from tests.integration.policy.test_rules import _ALL, _published, _written

pytestmark = pytest.mark.requirement("C1")
_OFF = {"requirement": "off", "factors": []}
_MAIL = {"name": "Mail"}


async def test_the_first_key_of_a_tenant_is_an_owners_without_a_holder(tenant: Tenant) -> None:
    shown = (await tenant.api("GET", f"/v1/applications/{tenant.application_id}")).json()

    [key] = shown["keys"]
    assert (key["role"], key["holder"], key["scopes"]) == ("owner", None, ["manage"])


async def test_a_persons_key_says_whose_it_is_and_what_the_role_may(
    bench: Bench, tenant: Tenant
) -> None:
    anna = await a_subject(tenant)

    made = await issue(tenant, role="service_desk", holder=anna)

    assert made.status_code == 201
    said = made.json()
    assert (said["role"], said["holder"], said["scopes"]) == ("service_desk", anna, [])
    events = [event for _, event in await bench.announced(tenant.tenant_id)]
    states = [data_of(APPLICATION_STATE, e) for e in events if e.type == APPLICATION_STATE.name]
    assert {key.role for key in states[-1].keys} == {Role.OWNER, Role.SERVICE_DESK}
    assert anna not in states[-1].model_dump_json()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"role": "auditor"}, "needs a holder"),
        ({"role": "application", "holder": str(uuid4())}, "only these have one"),
        ({"role": "auditor", "holder": str(uuid4()), "scopes": ["manage"]}, "scopes are an app"),
        ({"role": "emperor", "holder": str(uuid4())}, "body.role"),
    ],
)
async def test_a_key_fits_its_role(tenant: Tenant, body: dict[str, object], words: str) -> None:
    refused = [await issue(tenant, **body)]
    refused.append(await tenant.api("POST", "/v1/applications", _MAIL | body))

    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")
        assert words in " ".join(answer.json()["errors"])


async def test_a_holder_is_a_subject_that_is_there(bench: Bench, tenant: Tenant) -> None:
    gone, theirs = await a_subject(tenant), await a_subject(await bench.new_tenant())
    await tenant.api("DELETE", f"/v1/subjects/{gone}")

    for holder in (gone, theirs, str(uuid4())):
        body = {"role": "auditor", "holder": holder}
        for answer in (
            await issue(tenant, **body),
            await tenant.api("POST", "/v1/applications", _MAIL | body),
        ):
            assert (answer.status_code, answer.json()["code"]) == (422, "holder_unknown")


async def test_only_owners_say_what_is_required(tenant: Tenant) -> None:
    administrator = (await a_person(tenant, Role.ADMINISTRATOR)).tenant
    manager = await _managing_application(tenant)
    assert (await _written(administrator, _ALL)).status_code == 201

    for seen in (administrator, manager):
        refused = [
            await _published(seen, 1, None),
            await seen.api("PUT", f"/v1/policies/{tenant.application_id}", _OFF),
            await seen.api("PUT", "/v1/settings", {"four_eyes": True}),
        ]
        assert [(one.status_code, one.json()["detail"]) for one in refused] == [(403, "own")] * 3
        weak = await seen.api("POST", "/v1/applications", _MAIL | {"policy": _OFF})
        assert (weak.status_code, weak.json()["code"]) == (403, "owner_needed")
        assert (await seen.api("POST", "/v1/applications", _MAIL)).status_code == 201
    assert (await _published(tenant, 1, None)).status_code == 200


async def test_only_owners_make_owners_and_end_them(bench: Bench) -> None:
    tenant = await _with_keepers(bench)
    owner = await a_person(tenant, Role.OWNER)
    administrator = await a_person(tenant, Role.ADMINISTRATOR)
    manager = await _managing_application(tenant)

    for seen in (administrator.tenant, manager):
        body = {"role": "owner", "holder": owner.subject_ref}
        refused = [
            await issue(seen, **body),
            await seen.api("POST", "/v1/applications", _MAIL | body),
            await seen.api("DELETE", key_path(tenant, owner.key_id)),
            # The way round: who goes takes their keys along.
            await seen.api("DELETE", f"/v1/subjects/{owner.subject_ref}"),
        ]
        assert [one.json().get("code") for one in refused] == ["owner_needed"] * 4
        assert {one.status_code for one in refused} == {403}
        await a_person(seen, Role.AUDITOR)
    assert (await owner.api("GET", "/v1/settings")).status_code == 200
    ended = await tenant.api("DELETE", key_path(tenant, owner.key_id))
    assert ended.status_code == 200


async def test_who_is_deleted_holds_no_keys_any_more(bench: Bench) -> None:
    keepers = FakeKeepers(bench.identities)
    tenant = await _with_keepers(bench, keepers)
    mail = (await tenant.api("POST", "/v1/applications", _MAIL)).json()["application_id"]
    desk = await a_person(tenant, Role.SERVICE_DESK)
    body = {"role": "auditor", "holder": desk.subject_ref}
    made = await tenant.api("POST", f"/v1/applications/{mail}/keys", body)
    auditor, other = Api(tenant.api.http, made.json()["key"]), await a_person(tenant, Role.AUDITOR)

    assert (await tenant.api("DELETE", f"/v1/subjects/{desk.subject_ref}")).status_code == 204

    assert (await desk.api("GET", f"/v1/subjects/{uuid4()}")).status_code == 401
    assert (await auditor("GET", "/v1/rules")).status_code == 401
    assert (await other.api("GET", "/v1/rules")).status_code == 200
    assert {str(push.state.application_id) for _, push in keepers.pushed} == {
        str(tenant.application_id),
        mail,
    }
    said = [event.data for _, event in await bench.announced(tenant.tenant_id)]
    revoked = [str(data["key_id"]) for data in said if data.get("change") == "key_revoked"]
    assert sorted(revoked) == sorted([desk.key_id, made.json()["key_id"]])


async def test_whoever_deletes_hears_that_a_key_may_still_open_something(bench: Bench) -> None:
    keepers = FakeKeepers(bench.identities, refusing=Service.ENROLLMENT)
    tenant = await _with_keepers(bench, keepers)
    desk, nobody = await a_person(tenant, Role.SERVICE_DESK), await a_subject(tenant)

    pending = await tenant.api("DELETE", f"/v1/subjects/{desk.subject_ref}")
    without = await tenant.api("DELETE", f"/v1/subjects/{nobody}")

    assert (pending.status_code, pending.content, without.status_code) == (202, b"", 204)
    assert pending.headers["cache-control"] == "no-store"
    keepers.refusing = None
    again = await tenant.api("DELETE", key_path(tenant, desk.key_id))
    assert (again.status_code, again.json()) == (200, {"status": "effective"})


async def test_the_last_owner_is_not_deleted(bench: Bench) -> None:
    tenant = await _with_keepers(bench)
    owner = await a_person(tenant, Role.OWNER)
    [first] = (await tenant.api("GET", f"/v1/applications/{tenant.application_id}")).json()["keys"][
        :1
    ]
    assert (await owner.api("DELETE", key_path(tenant, first["key_id"]))).status_code == 200

    refused = await owner.api("DELETE", f"/v1/subjects/{owner.subject_ref}")

    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner_key")
    assert (await owner.api("GET", f"/v1/subjects/{owner.subject_ref}")).status_code == 200


async def test_nobody_gets_a_key_while_they_go(bench: Bench, tenant: Tenant) -> None:
    people = [await a_subject(tenant) for _ in range(5)]

    answers = await asyncio.gather(
        *(issue(tenant, role="auditor", holder=one) for one in people),
        *(tenant.api("DELETE", f"/v1/subjects/{one}") for one in people),
    )

    assert {answer.status_code for answer in answers} <= {201, 202, 204, 422}
    left = await bench.owner.fetchval(
        "SELECT count(*) FROM application_key k JOIN subject s ON s.subject_ref = k.holder"
        " WHERE s.tenant_id = $1 AND s.deleted AND NOT k.revoked",
        tenant.tenant_id,
    )
    assert left == 0


async def test_two_people_of_whom_one_goes_keep_four_eyes(bench: Bench) -> None:
    tenant = await _with_keepers(bench)
    anna, bert = await two_owners(tenant)

    for path in (key_path(tenant, bert.key_id), f"/v1/subjects/{bert.subject_ref}"):
        refused = await anna.api("DELETE", path)
        assert (refused.status_code, refused.json()["code"]) == (409, "two_owners_needed")
    [first] = [key for key in await _keys(tenant) if key["holder"] is None]
    assert (await anna.api("DELETE", key_path(tenant, first["key_id"]))).status_code == 200


async def test_four_eyes_need_two_people(tenant: Tenant) -> None:
    anna = await a_person(tenant, Role.OWNER)
    await a_person(tenant, Role.OWNER, anna.subject_ref)

    refused = await anna.api("PUT", "/v1/settings", {"four_eyes": True})

    assert (refused.status_code, refused.json()["code"]) == (409, "two_owners_needed")
    await a_person(tenant, Role.OWNER)
    chosen = await anna.api("PUT", "/v1/settings", {"four_eyes": True})
    assert (chosen.status_code, chosen.json()) == (200, {"four_eyes": True, "version": 2})
    assert (await anna.api("GET", "/v1/settings")).json() == chosen.json()


async def _keys(tenant: Tenant) -> list[dict[str, str]]:
    shown = await tenant.api("GET", f"/v1/applications/{tenant.application_id}")
    keys: list[dict[str, str]] = shown.json()["keys"]
    return keys


async def _managing_application(tenant: Tenant) -> Tenant:
    made = await tenant.api("POST", "/v1/applications", _MAIL | {"scopes": ["manage"]})
    api = Api(tenant.api.http, made.json()["key"])
    return Tenant(tenant.tenant_id, tenant.application_id, api)


async def _with_keepers(bench: Bench, keepers: FakeKeepers | None = None) -> Tenant:
    app = (keepers or FakeKeepers(bench.identities)).app()
    return await bench.new_tenant(bench.with_keepers(httpx2.ASGITransport(app)))
