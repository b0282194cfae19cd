"""Every administrative act is an event that names the key by which it was done."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from contracts.roles import Role
from tests.integration.internal_matrix import routes_of
from tests.integration.policy.bench import Bench, FakeKeepers, Tenant
from tests.integration.policy.people import (
    Person,
    a_person,
    a_subject,
    issue,
    key_path,
    two_owners,
)
from tests.integration.policy.test_rules import _ALL, _published, _written

pytestmark = pytest.mark.requirement("C1")
_OFF_TERMS = {"requirement": "off", "factors": []}


async def _make_application(tenant: Tenant, who: Person) -> httpx2.Response:
    return await who.api("POST", "/v1/applications", {"name": "Mail"})


async def _issue_key(tenant: Tenant, who: Person) -> Any:
    return await issue(who.tenant)


async def _revoke_key(tenant: Tenant, who: Person) -> httpx2.Response:
    key = (await issue(tenant)).json()
    return await who.api("DELETE", key_path(tenant, key["key_id"]))


async def _put_passkeys(tenant: Tenant, who: Person) -> httpx2.Response:
    path = f"/v1/applications/{tenant.application_id}/passkeys"
    return await who.api("PUT", path, {"rp_id": "localhost", "origins": ["https://localhost"]})


async def _delete_passkeys(tenant: Tenant, who: Person) -> httpx2.Response:
    await _put_passkeys(tenant, Person("", "", tenant))
    return await who.api("DELETE", f"/v1/applications/{tenant.application_id}/passkeys")


async def _put_policy(tenant: Tenant, who: Person) -> httpx2.Response:
    return await who.api("PUT", f"/v1/policies/{tenant.application_id}", _OFF_TERMS)


async def _write_rules(tenant: Tenant, who: Person) -> Any:
    return await _written(who.tenant, _ALL)


async def _publish_rules(tenant: Tenant, who: Person) -> Any:
    await _written(tenant, _ALL)
    return await _published(who.tenant, 1, None)


async def _make_subject(tenant: Tenant, who: Person) -> httpx2.Response:
    return await who.api("POST", "/v1/subjects", {"subject": f"p{uuid4().hex}"})


async def _change_subject(tenant: Tenant, who: Person) -> httpx2.Response:
    path = f"/v1/subjects/{await a_subject(tenant)}"
    return await who.api("PATCH", path, {"language": "nl"})


async def _delete_subject(tenant: Tenant, who: Person) -> httpx2.Response:
    return await who.api("DELETE", f"/v1/subjects/{await a_subject(tenant)}")


async def _choose(tenant: Tenant, who: Person) -> httpx2.Response:
    await a_person(tenant, Role.OWNER)
    return await who.api("PUT", "/v1/settings", {"four_eyes": True})


async def _choose_mailboxes(tenant: Tenant, who: Person) -> httpx2.Response:
    return await who.api("PUT", "/v1/settings/mailboxes", {"then": "flag"})


async def _propose_mailboxes(tenant: Tenant, who: Person) -> httpx2.Response:
    await _choose(tenant, who)
    return await _choose_mailboxes(tenant, who)


async def _propose(tenant: Tenant, who: Person) -> httpx2.Response:
    await _choose(tenant, who)
    return await who.api("PUT", "/v1/settings", {"four_eyes": False})


async def _approve(tenant: Tenant, who: Person) -> httpx2.Response:
    return await who.api("POST", f"{await _waiting(tenant)}/approval")


async def _refuse(tenant: Tenant, who: Person) -> httpx2.Response:
    return await who.api("DELETE", await _waiting(tenant))


async def _waiting(tenant: Tenant) -> str:
    anna, _ = await two_owners(tenant)
    waiting = await anna.api("PUT", "/v1/settings", {"four_eyes": False})
    return f"/v1/proposals/{waiting.json()['proposal_id']}"


_ACTS: dict[str, Callable[[Tenant, Person], Awaitable[Any]]] = {
    "POST /v1/applications": _make_application,
    "POST /v1/applications/{application_id}/keys": _issue_key,
    "DELETE /v1/applications/{application_id}/keys/{key_id}": _revoke_key,
    "PUT /v1/applications/{application_id}/passkeys": _put_passkeys,
    "DELETE /v1/applications/{application_id}/passkeys": _delete_passkeys,
    "PUT /v1/policies/{application_id}": _put_policy,
    "POST /v1/rules": _write_rules,
    "POST /v1/rules/{version}/publication": _publish_rules,
    "POST /v1/subjects": _make_subject,
    "PATCH /v1/subjects/{subject_ref}": _change_subject,
    "DELETE /v1/subjects/{subject_ref}": _delete_subject,
    "PUT /v1/settings": _choose,
    "PUT /v1/settings/mailboxes": _choose_mailboxes,
    "POST /v1/proposals/{proposal_id}/approval": _approve,
    "DELETE /v1/proposals/{proposal_id}": _refuse,
}
# They change nothing; the operator is nobody of the tenant.
_NO_ACTS = {
    *("POST /v1/subjects/search", "POST /v1/subjects/logins", "POST /v1/tenants"),
    *("POST /v1/rules/comparison", "POST /v1/rules/simulation"),
    "POST /v1/rules/simulation/people",
}
# What they lead to is done, and said, by a worker (test_imports.py).
_BY_A_WORKER = {
    *("POST /v1/imports", "PUT /v1/imports/{import_id}/parts/{number}"),
    *("POST /v1/imports/{import_id}/start", "DELETE /v1/imports/{import_id}"),
}


def test_no_route_is_forgotten(bench: Bench) -> None:
    routes = {
        f"{method} {route.path}"
        for route in routes_of(bench.listeners.public)
        for method in route.methods or ()
        if method not in ("GET", "HEAD")
    }

    assert routes == _ACTS.keys() | _NO_ACTS | _BY_A_WORKER


@pytest.mark.parametrize(
    "act",
    [*_ACTS.values(), _propose, _propose_mailboxes],
    ids=[*_ACTS, "a proposal", "a proposal of mailboxes"],
)
async def test_an_act_is_an_event_with_its_author(
    bench: Bench, act: Callable[[Tenant, Person], Awaitable[Any]]
) -> None:
    keepers = httpx2.ASGITransport(FakeKeepers(bench.identities).app())
    tenant = await bench.new_tenant(bench.with_keepers(keepers))
    who = await a_person(tenant, Role.OWNER)

    answer = await act(tenant, who)

    assert answer.status_code in (200, 201, 202, 204), answer.text
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    by_author = [event for event in said if _author(event.data) == who.key_id]
    assert by_author, [event.type for event in said]
    assert {event.key.split("/")[0] for event in by_author} == {str(tenant.tenant_id)}


def _author(data: dict[str, Any]) -> object:
    # Of an approval the author is who gave it.
    names = ("given_by", "refused_by", "changed_by", "published_by", "written_by", "requested_by")
    return next((data[name] for name in names if data.get(name) is not None), None)
