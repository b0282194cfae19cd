"""Section C: a software service whose customers choose for each type of user."""

from secrets import token_hex

import pyotp
import pytest

from tests.e2e.factors import begin, finish, receipt, rule, until_accepted
from tests.e2e.people import Person, Tenancy

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


@pytest.mark.requirement("C3")
@pytest.mark.requirement("C1")
async def test_a_pin_is_chosen_typed_twice_and_changed_with_the_old_one(tenancy: Tenancy) -> None:
    await tenancy.rules(rule("employees", "pin"))
    person = await tenancy.person()
    old, new = "480263", "739418"

    weak = await tenancy.ask(
        "/v1/enrollments", {"subject": person.name, "factor": "pin", "pin": "123456"}
    )
    first = await begin(tenancy, person, "pin", pin=old)
    mistyped = await tenancy.ask(f"{first.path}/confirmation", {"code": "480264"})
    await finish(tenancy, person, first, old)
    await until_accepted(tenancy, person, lambda: old)
    shown = await receipt(tenancy, person, old)
    change = await begin(tenancy, person, "pin", pin=new, receipt=shown)
    still = await tenancy.verify(person, old)
    await finish(tenancy, person, change, new)
    with_old = await tenancy.verify(person, old)
    await until_accepted(tenancy, person, lambda: new)

    assert (weak.status_code, weak.json()["code"]) == (422, "weak_pin")
    assert (mistyped.status_code, mistyped.json()["detail"]) == (403, "4")
    assert still.status_code == 200, "until the new one is typed a second time"
    assert with_old.status_code == 403


@pytest.mark.requirement("C5")
async def test_two_logins_of_one_address_are_two_entries_in_the_app(tenancy: Tenancy) -> None:
    address, names = f"{token_hex(6)}@example.org", []
    for role in ("employee", "manager"):
        subject = f"{role}-{token_hex(4)}"
        body = {"subject": subject, "label": f"{address} ({role})", "email": address}
        made = await tenancy.must("/v1/subjects", body, status=201, key=tenancy.manage_key)
        person = Person(name=subject, subject_ref=str(made["subject_ref"]))
        begun = await begin(tenancy, person, "totp")
        names.append(pyotp.parse_uri(str(begun.shown["otpauth_uri"])).name)

    assert names == [f"{address} (employee)", f"{address} (manager)"]
