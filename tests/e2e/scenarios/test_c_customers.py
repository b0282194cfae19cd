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


@pytest.mark.requirement("C1")
async def test_only_the_account_owner_sets_what_is_required(tenancy: Tenancy) -> None:
    person = await tenancy.person(user_type="owner")
    keys = f"/v1/applications/{tenancy.application_id}/keys"
    body = {"role": "administrator", "holder": person.subject_ref}
    administrator = str((await tenancy.must(keys, body, status=201, key=tenancy.manage_key))["key"])
    rules = {"rules": [{"name": "all", "requirement": "required", "factors": ["totp"]}]}
    draft = {"rules": rules, "reason": "An administrator thinks so"}

    written = await tenancy.must("/v1/rules", draft, status=201, key=administrator)
    path = f"/v1/rules/{written['version']}/publication"
    publication = {"replaces": None, "reason": "It is time"}
    refused = await tenancy.ask(path, publication, key=administrator)
    published = await tenancy.ask(path, publication, key=tenancy.manage_key)

    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert published.status_code == 200


@pytest.mark.requirement("C4")
@pytest.mark.requirement("C5")
async def test_two_logins_of_one_address_stay_apart(tenancy: Tenancy) -> None:
    address = {"email": "anna@example.org"}
    for subject, label in (("anna-employee", "Anna, employee"), ("anna-manager", "Anna, manager")):
        body = {"subject": subject, "label": label, **address}
        await tenancy.must("/v1/subjects", body, status=201, key=tenancy.manage_key)

    found = await tenancy.must("/v1/subjects/logins", address, status=200, key=tenancy.manage_key)
    same = {"subject": "anna-third", "label": "Anna, manager", **address}
    refused = await tenancy.ask("/v1/subjects", same, key=tenancy.manage_key)

    assert (refused.status_code, refused.json()["code"]) == (409, "label_taken")
    logins = found["logins"]
    assert isinstance(logins, list)
    assert [one["label"] for one in logins] == ["Anna, employee", "Anna, manager"]
