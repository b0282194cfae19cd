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
