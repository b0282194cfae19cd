"""Section A: a university protects the applications that hold personal data, for its staff."""

import pytest

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
