"""Section A: a university protects the applications that hold personal data, for its staff."""

import pyotp
import pytest

from tests.e2e.factors import begin, finish, receipt, rule, until_usable
from tests.e2e.people import Tenancy

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.requirement("A1")
@pytest.mark.requirement("A2")
@pytest.mark.requirement("A3")
async def test_staff_protect_the_application_with_personal_data(tenancy: Tenancy) -> None:
    wiki = await tenancy.application({"requirement": "off", "factors": []})
    await tenancy.rules(
        {
            "name": "personal-data",
            "match": {"applications": [tenancy.application_id], "user_types": ["staff"]},
            "requirement": "required",
            "factors": ["totp"],
        }
    )
    person = await tenancy.person(user_type="staff")

    before = await tenancy.decision(person)
    unprotected = await tenancy.decision(person, key=wiki)
    await tenancy.enroll(person)
    await tenancy.until_decided(person, "challenge")
    accepted = await tenancy.verify(person, person.next_code())

    assert (before, unprotected) == ("enroll", "allow")
    assert accepted.status_code == 200
    assert person.recovery_key, "shown once, at the end of the enrollment"
    assert await tenancy.decision(person, key=wiki) == "allow"


@pytest.mark.requirement("A4")
async def test_people_without_a_smartphone_have_a_token_or_a_card_of_codes(
    tenancy: Tenancy,
) -> None:
    await tenancy.rules(rule("personal-data", "totp", "hotp", "recovery_code"))
    with_token, with_card = await tenancy.person(), await tenancy.person()
    seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    token = pyotp.HOTP(seed)

    begun = await begin(tenancy, with_token, "hotp", seed=seed, counter=100)
    # The button was pressed in a pocket, more often than one code can make up for.
    ahead = {"next_code": token.at(141)}
    await finish(tenancy, with_token, begun, token.at(140), **ahead)
    card = await begin(tenancy, with_card, "recovery_code")
    codes = card.shown["codes"]
    assert isinstance(codes, list)
    await finish(tenancy, with_card, card, codes[0])
    for person, factor in ((with_token, "hotp"), (with_card, "recovery_code")):
        await until_usable(tenancy, person, factor)

    again = [
        await tenancy.verify(with_token, token.at(141)),
        await tenancy.verify(with_card, codes[0]),
    ]
    accepted = [
        await tenancy.verify(with_token, token.at(142)),
        await tenancy.verify(with_card, codes[1]),
    ]

    assert [one.status_code for one in again] == [403, 403], "what confirmed it is spent"
    assert [one.status_code for one in accepted] == [200, 200]


@pytest.mark.requirement("A1")
@pytest.mark.requirement("B5")
async def test_a_second_phone_is_added_named_and_the_first_removed_by_the_person(
    tenancy: Tenancy,
) -> None:
    await tenancy.rules(rule("personal-data", "totp"))
    person = await tenancy.enrolled()
    old, old_code = person.authenticator_id, person.next_code()
    search = {"subject": person.name}

    await tenancy.enroll(person, name="New phone")
    path = f"/v1/authenticators/{old}"
    without = await tenancy.ask(path, {}, method="DELETE")
    shown = {"Watchword-Receipt": await receipt(tenancy, person, old_code)}
    await tenancy.effective(path, {}, method="DELETE", headers=shown)
    left = (await tenancy.must("/v1/authenticators/search", search, status=200))["authenticators"]
    last = f"/v1/authenticators/{person.authenticator_id}"
    renamed = await tenancy.ask(last, {"name": "My phone"}, method="PATCH")
    present = {"Watchword-Receipt": person.presence}
    refused = await tenancy.ask(last, {}, method="DELETE", headers=present)

    assert without.json()["code"] == "present_factor_required"
    assert isinstance(left, list)
    assert [one["name"] for one in left] == ["New phone"]
    assert renamed.json()["name"] == "My phone"
    assert (refused.status_code, refused.json()["code"]) == (409, "mandatory")
