import asyncio
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.policy import APPLICATION_STATE, POLICY_STATE
from contracts.vocabulary import Service
from libs.web.api_keys import digest_of
from tests.integration.policy.bench import OPERATOR_KEY, Api, Bench, FakeKeepers, Tenant


async def test_a_tenant_manages_with_the_key_it_was_given(bench: Bench) -> None:
    tenant = await bench.new_tenant()

    response = await tenant.api("GET", "/v1/applications")

    assert response.status_code == 200
    (application,) = response.json()["applications"]
    assert application["application_id"] == str(tenant.application_id)
    assert application["name"] == "administration"
    assert application["keys"][0]["scopes"] == ["manage"]


@pytest.mark.parametrize("key", ["", "another", OPERATOR_KEY + " ", OPERATOR_KEY.upper()])
async def test_only_the_operator_makes_tenants(bench: Bench, key: str) -> None:
    response = await Api(bench.http, key)("POST", "/v1/tenants", {"name": "A university"})

    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"


async def test_an_application_key_does_not_make_tenants(tenant: Tenant) -> None:
    assert (await tenant.api("POST", "/v1/tenants", {"name": "B"})).status_code == 401


@pytest.mark.security("S9")
async def test_keys_are_shown_once_and_only_their_hashes_are_kept(
    bench: Bench, tenant: Tenant
) -> None:
    made = (await tenant.api("POST", "/v1/applications", {"name": "Mail"})).json()
    path = f"/v1/applications/{made['application_id']}"
    second = (await tenant.api("POST", f"{path}/keys", {})).json()
    keys = [tenant.api.key, made["key"], second["key"]]

    shown = [await tenant.api("GET", path), await tenant.api("GET", "/v1/applications")]
    kept = await _everything_kept(bench)

    assert all(key not in answer.text for key in keys for answer in shown)
    assert all(digest_of(key) not in answer.text for key in keys for answer in shown)
    assert all(key not in kept and key[-40:] not in kept for key in keys)
    assert all(digest_of(key) in kept for key in keys)
    assert shown[0].headers["cache-control"] == "no-store"


async def test_a_new_application_comes_with_a_policy_and_both_are_announced(
    bench: Bench, tenant: Tenant
) -> None:
    response = await tenant.api("POST", "/v1/applications", {"name": "Mail"})

    made = response.json()
    assert response.status_code == 201
    assert (made["mode"], made["scopes"]) == ("test", ["enroll", "verify"])
    assert made["key"].startswith("ww_test_")
    policy = {"version": 1, "requirement": "required", "factors": ["totp"]}
    assert made["policy"] == {"application_id": made["application_id"], **policy}
    said = [
        (topic, event.type, event.sequence)
        for topic, event in await bench.announced(tenant.tenant_id)
        if event.key.endswith(made["application_id"])
    ]
    assert said == [
        (APPLICATION_STATE.topic.name, "mfa.application", 1),
        ("mfa.events", "mfa.application_changed", 1),
        ("mfa.events", "mfa.policy_changed", 2),
        (POLICY_STATE.topic.name, "mfa.policy", 1),
    ]


async def test_nothing_is_made_where_the_policy_is_refused(tenant: Tenant) -> None:
    body = {"name": "Mail", "policy": {"requirement": "required", "factors": ["push"]}}

    response = await tenant.api("POST", "/v1/applications", body)

    assert (response.status_code, response.json()["code"]) == (422, "factor_not_available")
    assert len((await tenant.api("GET", "/v1/applications")).json()["applications"]) == 1


async def test_two_keys_of_a_mode_and_no_third_even_at_once(tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/applications", {"name": "Mail"})).json()
    path = f"/v1/applications/{made['application_id']}/keys"

    answers = await asyncio.gather(*(tenant.api("POST", path, {}) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    live = await tenant.api("POST", path, {"mode": "live"})
    assert (live.status_code, live.json()["key"][:8]) == (201, "ww_live_")


async def test_a_revocation_is_effective_when_every_keeper_has_it(bench: Bench) -> None:
    keepers = FakeKeepers(bench.identities)
    tenant, path, key = await _with_key_to_revoke(bench, keepers)

    response = await tenant.api("DELETE", path)

    assert (response.status_code, response.json()) == (200, {"status": "effective"})
    assert {keeper for keeper, _ in keepers.pushed} == {"verification", "enrollment", "recovery"}
    _, push = keepers.pushed[0]
    assert push.tenant == tenant.tenant_id
    assert [one.revoked for one in push.state.keys if one.digest == digest_of(key.key)] == [True]
    assert (await key("GET", "/v1/applications")).status_code == 401


@pytest.mark.parametrize("refusing", [Service.VERIFICATION, Service.ENROLLMENT, Service.RECOVERY])
async def test_a_revocation_is_pending_until_a_repeat_finds_it_effective(
    bench: Bench, refusing: Service
) -> None:
    keepers = FakeKeepers(bench.identities, refusing=refusing)
    tenant, path, key = await _with_key_to_revoke(bench, keepers)

    pending = await tenant.api("DELETE", path)
    refused_here = await key("GET", "/v1/applications")
    keepers.refusing = None
    effective = await tenant.api("DELETE", path)

    assert (pending.status_code, pending.json()) == (202, {"status": "pending"})
    assert refused_here.status_code == 401
    assert (effective.status_code, effective.json()) == (200, {"status": "effective"})
    reasons = [
        event.data["change"]
        for _, event in await bench.announced(tenant.tenant_id)
        if event.type == "mfa.application_changed"
    ]
    assert reasons.count("key_revoked") == 1


async def test_a_revocation_is_pending_while_the_keepers_are_down(bench: Bench) -> None:
    def unreachable(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("down")

    operator = bench.with_keepers(httpx2.MockTransport(unreachable))
    tenant = await bench.new_tenant(operator)
    path, key = await _new_key(tenant)

    response = await tenant.api("DELETE", path)

    assert (response.status_code, response.json()) == (202, {"status": "pending"})
    assert (await key("GET", "/v1/applications")).status_code == 401


@pytest.mark.requirement("C1")
async def test_the_last_owners_key_stays_even_when_two_go_at_once(bench: Bench) -> None:
    keepers = FakeKeepers(bench.identities)
    tenant, _, manager = await _with_key_to_revoke(bench, keepers)
    first = f"/v1/applications/{tenant.application_id}"
    (own,) = (await tenant.api("GET", first)).json()["keys"]
    subject = (await tenant.api("POST", "/v1/subjects", {"subject": "anna"})).json()
    body = {"role": "owner", "holder": subject["subject_ref"]}
    second = (await tenant.api("POST", f"{first}/keys", body)).json()

    paths = [f"{first}/keys/{key_id}" for key_id in (own["key_id"], second["key_id"])]
    answers = await asyncio.gather(*(tenant.api("DELETE", path) for path in paths))

    # A managing key that is left does not count.
    assert (await manager("GET", first)).status_code == 200
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 409])
    left = [key for key in (tenant.api, Api(tenant.api.http, second["key"]))]
    alive = [key for key in left if (await key("GET", first)).status_code == 200]
    assert len(alive) == 1
    last = paths[left.index(alive[0])]
    refused = await alive[0]("DELETE", last)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner_key")


async def test_a_key_is_found_under_its_own_application_only(tenant: Tenant) -> None:
    path, _ = await _new_key(tenant)
    key_id = path.rpartition("/")[2]

    wrong = f"/v1/applications/{tenant.application_id}/keys/{key_id}"

    assert (await tenant.api("DELETE", wrong)).status_code == 404
    unknown = f"/v1/applications/{tenant.application_id}/keys/{uuid4()}"
    assert (await tenant.api("DELETE", unknown)).status_code == 404


async def _with_key_to_revoke(bench: Bench, keepers: FakeKeepers) -> tuple[Tenant, str, Api]:
    operator = bench.with_keepers(httpx2.ASGITransport(keepers.app()))
    tenant = await bench.new_tenant(operator)
    return tenant, *(await _new_key(tenant))


async def _new_key(tenant: Tenant) -> tuple[str, Api]:
    """Make an application with a manage key; return the key's address and its holder's view."""
    body = {"name": "Mail", "scopes": ["manage"]}
    made = (await tenant.api("POST", "/v1/applications", body)).json()
    path = f"/v1/applications/{UUID(made['application_id'])}/keys/{UUID(made['key_id'])}"
    return path, Api(tenant.api.http, made["key"])


async def _everything_kept(bench: Bench) -> str:
    tables = await bench.owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'policy'")
    rows = [
        str(row)
        for table in tables
        for row in await bench.owner.fetch(f"SELECT t::text FROM {table['tablename']} t")
    ]
    payloads = await bench.owner.fetch(
        "SELECT convert_from(payload, 'UTF8') AS text FROM outbox WHERE payload IS NOT NULL"
    )
    return "\n".join([*rows, *(row["text"] for row in payloads)])
