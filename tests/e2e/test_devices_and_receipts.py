import json
from datetime import UTC, datetime

import pytest

from examples.check_receipt import Expected, check
from tests.e2e.people import Person, Tenancy

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")


async def decided(tenancy: Tenancy, person: Person, token: str | None) -> dict[str, object]:
    body = {"subject": person.name, "device": token}
    return await tenancy.must("/v1/decisions", body, status=200)


@pytest.mark.requirement("D5")
async def test_a_remembered_device_is_let_in_and_another_one_is_asked(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    body = {"subject": person.name, "code": person.next_code(), "device": {"remember": True}}
    device = json.loads((await tenancy.ask("/v1/verify", body)).content)["device"]

    let_in = await decided(tenancy, person, device["token"])
    elsewhere = await decided(tenancy, person, None)
    found = await tenancy.must("/v1/devices/search", {"subject": person.name}, status=200)
    gone = await tenancy.ask(f"/v1/devices/{device['id']}", {}, method="DELETE")
    kept = let_in["device"]
    assert isinstance(kept, dict)
    after = await decided(tenancy, person, str(kept["token"]))

    assert (let_in["decision"], let_in["reason"]) == ("allow", "remembered")
    assert (elsewhere["decision"], elsewhere["remembered"]) == ("challenge", False)
    assert [one["id"] for one in found["devices"]] == [device["id"]]  # type: ignore[attr-defined]
    assert gone.status_code == 204
    assert after["decision"] == "challenge"
    events = await tenancy.events_of(person, until_type="mfa.device_forgotten")
    assert events[-1].data["reason"] == "revoked"
    assert "mfa.device_remembered" in [event.type for event in events]


@pytest.mark.requirement("F5")
async def test_a_receipt_is_checked_with_the_keys_at_the_front_door(tenancy: Tenancy) -> None:
    person = await tenancy.enrolled()
    body = {
        "subject": person.name,
        "code": person.next_code(),
        "receipt": {"nonce": "nonce-of-this-login"},
    }
    answer = await tenancy.must("/v1/verify", body, status=200)

    keys = await tenancy.http.get("/v1/receipts/keys")

    expected = Expected(
        issuer="https://watchword.invalid",
        application=tenancy.application_id,
        subject=person.name,
        nonce="nonce-of-this-login",
    )
    claims = check(str(answer["receipt"]), keys.json(), expected=expected, now=datetime.now(UTC))
    assert claims["jti"] == answer["event_id"]
    assert keys.headers["cache-control"] == "public, max-age=3600"
