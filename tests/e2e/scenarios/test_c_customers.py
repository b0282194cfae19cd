"""Section C: a software service whose customers choose for each type of user."""

import pytest

from tests.e2e.people import Tenancy

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.requirement("C1")
@pytest.mark.requirement("C2")
async def test_the_choice_holds_for_all_users_of_a_type(tenancy: Tenancy) -> None:
    employees = {
        "name": "employees",
        "match": {"user_types": ["employee"]},
        "requirement": "required",
        "factors": ["totp"],
    }
    others = {"name": "others", "requirement": "off"}
    employee = await tenancy.person(user_type="employee")
    owner = await tenancy.person(user_type="owner")

    first = await tenancy.rules(employees, others)
    await tenancy.until_decided(owner, "allow")
    chosen = await tenancy.decision(employee)
    owners = employees | {"name": "owners", "match": {"user_types": ["owner"]}}
    await tenancy.rules(employees, owners, others, replaces=first)

    assert chosen == "enroll"
    assert await tenancy.decision(owner) == "enroll", "their own choice holds for owners, too"


@pytest.mark.requirement("C5")
async def test_two_logins_of_one_address_stay_apart(tenancy: Tenancy) -> None:
    address = {"email": "anna@example.org"}
    for subject, label in (("anna-employee", "Anna, employee"), ("anna-manager", "Anna, manager")):
        body = {"subject": subject, "label": label, **address}
        await tenancy.must("/v1/subjects", body, status=201, key=tenancy.manage_key)

    same = {"subject": "anna-third", "label": "Anna, manager", **address}
    refused = await tenancy.ask("/v1/subjects", same, key=tenancy.manage_key)

    assert (refused.status_code, refused.json()["code"]) == (409, "label_taken")
