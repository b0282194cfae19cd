"""Section E: an HR service: by choice for some, mandatory for employees."""

import pytest

from tests.e2e.people import Tenancy

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.requirement("E1")
@pytest.mark.requirement("E2")
async def test_by_choice_for_some_and_mandatory_for_employees(tenancy: Tenancy) -> None:
    await tenancy.rules(
        {
            "name": "employees",
            "match": {"groups": ["employees"]},
            "requirement": "required",
            "factors": ["totp"],
        },
        {"name": "my-login", "requirement": "optional", "factors": ["totp"]},
    )
    employee = await tenancy.person(groups=["employees"])
    applicant = await tenancy.person()

    await tenancy.until_decided(applicant, "allow")
    assert await tenancy.decision(employee) == "enroll"
    await tenancy.enroll(applicant)
    await tenancy.until_decided(applicant, "challenge")
    assert (await tenancy.verify(applicant, applicant.next_code())).status_code == 200


@pytest.mark.requirement("E5")
async def test_an_administrator_disables_it_only_while_it_is_not_mandatory(
    tenancy: Tenancy,
) -> None:
    mine = {"applications": [tenancy.application_id]}
    by_choice = {"name": "my-login", "requirement": "optional", "factors": ["totp"]}
    mandatory = by_choice | {"name": "employees", "requirement": "required", "match": mine}
    first = await tenancy.rules(by_choice)
    person = await tenancy.enrolled()
    removal = {"subject": person.name}

    await tenancy.effective("/v1/authenticators/removal", removal, key=tenancy.manage_key)
    await tenancy.until_decided(person, "allow")
    await tenancy.rules(mandatory, by_choice, replaces=first)
    await tenancy.until_decided(person, "enroll")
    await tenancy.enroll(person)
    refused = await tenancy.ask("/v1/authenticators/removal", removal, key=tenancy.manage_key)

    assert (refused.status_code, refused.json()["code"]) == (409, "mandatory")
    await tenancy.until_decided(person, "challenge")
