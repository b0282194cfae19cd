"""Section D: a desk application of a city: no codes by e-mail, a known device for seven days."""

import pytest

from tests.e2e.people import Tenancy

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.requirement("D4")
async def test_codes_by_e_mail_cannot_even_be_asked_for(tenancy: Tenancy) -> None:
    rule = {"name": "all", "requirement": "required", "factors": ["email"]}
    body = {"rules": {"rules": [rule]}, "reason": "Somebody wants it"}

    refused = await tenancy.ask("/v1/rules", body, key=tenancy.manage_key)

    assert (refused.status_code, refused.json()["code"]) == (422, "malformed_request")


@pytest.mark.requirement("D5")
async def test_a_known_device_is_not_asked_another_one_is(tenancy: Tenancy) -> None:
    await tenancy.rules({"name": "all", "requirement": "required", "factors": ["totp"]})
    person = await tenancy.enrolled()
    body = {"subject": person.name, "code": person.next_code(), "device": {"remember": True}}
    kept = (await tenancy.must("/v1/verify", body, status=200))["device"]
    assert isinstance(kept, dict)

    here = {"subject": person.name, "device": kept["token"]}
    let_in = await tenancy.must("/v1/decisions", here, status=200)

    assert (let_in["decision"], let_in["remembered"]) == ("allow", True)
    assert await tenancy.decision(person) == "challenge"
