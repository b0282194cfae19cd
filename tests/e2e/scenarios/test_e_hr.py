"""Section E: an HR service: by choice for some, mandatory for employees."""

import pyotp
import pytest

from tests.e2e.factors import begin, finish, receipt, until_usable
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


@pytest.mark.requirement("E2")
async def test_the_key_is_scanned_or_retyped_and_nothing_is_kept_before_its_code(
    tenancy: Tenancy,
) -> None:
    person = await tenancy.person()
    begun = await begin(tenancy, person, "totp")
    key = str(begun.shown["key"])
    assert all(len(group) == 4 for group in key.split())

    before = await tenancy.decision(person)
    retyped = pyotp.TOTP(key.replace(" ", "").lower(), digits=6)
    await finish(tenancy, person, begun, retyped.now())

    assert before == "enroll"
    await tenancy.until_decided(person, "challenge")


@pytest.mark.requirement("E4")
async def test_a_backup_code_turns_the_second_step_off_once(tenancy: Tenancy) -> None:
    await tenancy.rules(
        {"name": "my-login", "requirement": "optional", "factors": ["totp", "recovery_code"]}
    )
    person = await tenancy.person()
    await tenancy.enroll(person)
    card = await begin(tenancy, person, "recovery_code")
    codes = card.shown["codes"]
    assert isinstance(codes, list)
    await finish(tenancy, person, card, codes[9])
    await until_usable(tenancy, person, "recovery_code")
    removal = {"subject": person.name}

    alone = await tenancy.ask("/v1/authenticators/removal", removal)
    shown = {"Watchword-Receipt": await receipt(tenancy, person, codes[0])}
    await tenancy.effective("/v1/authenticators/removal", removal, headers=shown)
    again = await tenancy.verify(person, codes[1])

    assert alone.json()["code"] == "present_factor_required"
    assert await tenancy.decision(person) == "allow"
    assert again.status_code == 403
