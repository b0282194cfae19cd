"""An application says where it uses passkeys."""

import asyncio
from uuid import uuid4

import pytest

from contracts.envelope import data_of
from contracts.passkeys import PasskeyParty
from contracts.policy import APPLICATION_CHANGED, APPLICATION_STATE, ApplicationState, Change
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.people import issue

_HERE = {"rp_id": "example.org", "origins": ["https://example.org", "https://login.example.org"]}


async def test_a_relying_party_is_kept_shown_and_published(bench: Bench, tenant: Tenant) -> None:
    assert (await _shown(tenant)) is None

    put = await tenant.api("PUT", _path(tenant), _HERE)

    assert (put.status_code, put.json()) == (200, _HERE)
    assert await _shown(tenant) == _HERE
    listed = (await tenant.api("GET", "/v1/applications")).json()["applications"]
    assert [one["passkeys"] for one in listed] == [_HERE]
    assert (await _states(bench, tenant))[-1].passkeys == PasskeyParty.model_validate(_HERE)
    assert (await _changes(bench, tenant)).count(Change.UPDATED) == 1


async def test_it_stays_with_every_other_change(bench: Bench, tenant: Tenant) -> None:
    await tenant.api("PUT", _path(tenant), _HERE)

    await issue(tenant)

    last = (await _states(bench, tenant))[-1]
    assert (len(last.keys), last.passkeys is not None) == (2, True)


async def test_the_same_again_and_nothing_taken_away_are_no_changes(
    bench: Bench, tenant: Tenant
) -> None:
    assert (await tenant.api("DELETE", _path(tenant))).status_code == 204
    await tenant.api("PUT", _path(tenant), _HERE)

    assert (await tenant.api("PUT", _path(tenant), _HERE)).status_code == 200

    assert [state.version for state in await _states(bench, tenant)] == [1, 2]


async def test_it_is_changed_and_taken_away(bench: Bench, tenant: Tenant) -> None:
    there = {"rp_id": "localhost", "origins": ["http://localhost:3000"]}
    await tenant.api("PUT", _path(tenant), _HERE)

    assert (await tenant.api("PUT", _path(tenant), there)).json() == there
    assert (await tenant.api("DELETE", _path(tenant))).status_code == 204

    assert await _shown(tenant) is None
    states = await _states(bench, tenant)
    parties = [state.passkeys.rp_id if state.passkeys else None for state in states]
    assert parties == [None, "example.org", "localhost", None]


async def test_two_changes_at_once_are_two_versions(bench: Bench, tenant: Tenant) -> None:
    there = {"rp_id": "localhost", "origins": ["http://localhost:3000"]}

    await asyncio.gather(*(tenant.api("PUT", _path(tenant), one) for one in (_HERE, there)))

    states = await _states(bench, tenant)
    assert [state.version for state in states] == [1, 2, 3]
    assert states[-1].passkeys == PasskeyParty.model_validate(await _shown(tenant))


@pytest.mark.parametrize(
    "body",
    [
        {"rp_id": "example.org"},
        {"origins": ["https://example.org"]},
        _HERE | {"origins": []},
        _HERE | {"origins": [f"https://{n}.example.org" for n in range(11)]},
        _HERE | {"origins": ["https://example.com"]},
        _HERE | {"origins": ["https://example.org"] * 2},
        _HERE | {"origins": "https://example.org"},
        _HERE | {"origins": [1]},
        _HERE | {"rp_id": "Example.org"},
        _HERE | {"rp_id": None},
        _HERE | {"name": "x"},
        [],
    ],
)
async def test_refuses_what_no_browser_would_take(tenant: Tenant, body: object) -> None:
    refused = await tenant.api("PUT", _path(tenant), body)

    assert (refused.status_code, refused.json()["code"]) == (422, "malformed_request")
    assert await _shown(tenant) is None


async def test_takes_ten_origins(tenant: Tenant) -> None:
    ten = _HERE | {"origins": [f"https://{n}.example.org" for n in range(10)]}

    assert (await tenant.api("PUT", _path(tenant), ten)).json() == ten


@pytest.mark.security("S6")
async def test_an_application_that_is_not_there_has_none(tenant: Tenant) -> None:
    for method, body in (("PUT", _HERE), ("DELETE", None)):
        answer = await tenant.api(method, f"/v1/applications/{uuid4()}/passkeys", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def _path(tenant: Tenant) -> str:
    return f"/v1/applications/{tenant.application_id}/passkeys"


async def _shown(tenant: Tenant) -> object:
    shown = await tenant.api("GET", f"/v1/applications/{tenant.application_id}")
    return shown.json()["passkeys"]


async def _states(bench: Bench, tenant: Tenant) -> list[ApplicationState]:
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    return [data_of(APPLICATION_STATE, one) for one in said if one.type == APPLICATION_STATE.name]


async def _changes(bench: Bench, tenant: Tenant) -> list[Change]:
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    found = [data_of(APPLICATION_CHANGED, e) for e in said if e.type == APPLICATION_CHANGED.name]
    return [one.change for one in found]
