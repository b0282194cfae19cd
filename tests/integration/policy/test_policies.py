import asyncio

import pytest

from contracts.envelope import data_of
from contracts.policy import POLICY_CHANGED, POLICY_STATE
from tests.integration.policy.bench import Bench, Tenant

_OFF = {"requirement": "off", "factors": []}
_REQUIRED = {"requirement": "required", "factors": ["totp"]}
_OFF_WITH_TOTP = {"requirement": "off", "factors": ["totp"]}


async def test_a_change_makes_a_version_and_announces_it(bench: Bench, tenant: Tenant) -> None:
    path = f"/v1/policies/{tenant.application_id}"

    changed = await tenant.api("PUT", path, _OFF)

    assert changed.status_code == 200
    assert changed.json() == {
        "application_id": str(tenant.application_id),
        "version": 2,
        "requirement": "off",
        "factors": [],
    }
    assert (await tenant.api("GET", path)).json() == changed.json()
    assert await _versions(bench, tenant) == ([1, 2], [1, 2])


async def test_the_same_content_is_the_same_version(bench: Bench, tenant: Tenant) -> None:
    path = f"/v1/policies/{tenant.application_id}"

    again = await tenant.api("PUT", path, {"requirement": "required", "factors": ["totp", "totp"]})

    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert await _versions(bench, tenant) == ([1], [1])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"requirement": "required", "factors": []}, "no_factor"),
        ({"requirement": "required", "factors": ["push"]}, "factor_not_available"),
        ({"requirement": "required", "factors": ["totp", "push"]}, "factor_not_available"),
        ({"requirement": "off", "factors": ["recovery_key"]}, "factor_not_available"),
        ({"requirement": "required", "factors": ["sms", "passkey"]}, "no_factor_at_login"),
        ({"requirement": "required", "factors": ["email"]}, "malformed_request"),
        ({"requirement": "required"}, "malformed_request"),
        ({"requirement": "maybe", "factors": ["totp"]}, "malformed_request"),
        ({**_REQUIRED, "version": 7}, "malformed_request"),
        # How much may be guessed is no policy's to say: the start of verification has computed it.
        ({**_REQUIRED, "guesses_a_day": 1000}, "malformed_request"),
        ({**_REQUIRED, "budget": {"capacity": 1000}}, "malformed_request"),
        ({**_REQUIRED, "failures_before_waiting": 99}, "malformed_request"),
        ({**_REQUIRED, "limits": []}, "malformed_request"),
    ],
)
async def test_refuses_what_would_lock_people_out_or_let_guessers_in(
    tenant: Tenant, body: dict[str, object], code: str
) -> None:
    path = f"/v1/policies/{tenant.application_id}"

    response = await tenant.api("PUT", path, body)

    assert (response.status_code, response.json()["code"]) == (422, code)
    assert (await tenant.api("GET", path)).json()["version"] == 1


async def test_two_changes_at_once_are_two_versions_in_order(bench: Bench, tenant: Tenant) -> None:
    path = f"/v1/policies/{tenant.application_id}"

    answers = await asyncio.gather(
        tenant.api("PUT", path, _OFF), tenant.api("PUT", path, _OFF_WITH_TOTP)
    )

    assert sorted(answer.json()["version"] for answer in answers) == [2, 3]
    assert await _versions(bench, tenant) == ([1, 2, 3], [1, 2, 3])
    last = max((answer.json() for answer in answers), key=lambda policy: policy["version"])
    assert (await tenant.api("GET", path)).json() == last


async def _versions(bench: Bench, tenant: Tenant) -> tuple[list[int], list[int]]:
    """Return the versions of the facts and of the states, as they come out of the outbox."""
    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    facts = [data_of(POLICY_CHANGED, one) for one in said if one.type == POLICY_CHANGED.name]
    states = [data_of(POLICY_STATE, one) for one in said if one.type == POLICY_STATE.name]
    return [fact.version for fact in facts], [state.version for state in states]
