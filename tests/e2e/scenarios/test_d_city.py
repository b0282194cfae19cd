"""Section D: a desk application of a city: no codes by e-mail, a known device for seven days."""

from secrets import randbelow, token_hex

import pytest

from tests.e2e.factors import begin, finish, mailed_code, phoned_code, rule
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


@pytest.mark.requirement("D2")
async def test_a_code_to_the_login_address_opens_the_setting_up_of_app_and_text_message(
    tenancy: Tenancy,
) -> None:
    await tenancy.rules(rule("city", "totp", "sms", email_code=True))
    person = await tenancy.person(language="nl")
    digits = str(randbelow(10**7)).zfill(7)
    wish = {"subject": person.name, "factor": "sms", "number": f"+3162{digits}"}

    closed = await tenancy.ask("/v1/enrollments", wish)
    await tenancy.must("/v1/enrollments/email-code", {"subject": person.name}, status=202)
    code = await mailed_code(tenancy, person)
    wrong = await tenancy.ask(
        "/v1/enrollments", wish | {"email_code": f"{(int(code) + 1) % 10**6:06}"}
    )
    begun = await begin(tenancy, person, "sms", number=f"+3162{digits}", email_code=code)
    text = await phoned_code(tenancy, f"+3162{digits}", kind="sms")
    await finish(tenancy, person, begun, text)
    once_more = {"subject": person.name, "factor": "totp", "email_code": code}
    again = await tenancy.ask("/v1/enrollments", once_more)

    assert (closed.status_code, closed.json()["code"]) == (403, "email_code_required")
    assert (wrong.status_code, wrong.json()["detail"]) == (403, "4")
    assert again.json()["code"] == "email_code_gone", "once"
    types = [one.type for one in await tenancy.events_of(person, until_type="mfa.enrolled")]
    assert types.count("mfa.enrollment_opened") == 1


@pytest.mark.requirement("D6")
async def test_a_shared_mailbox_is_refused_or_flagged_as_the_tenant_says(
    tenancy: Tenancy,
) -> None:
    name = f"info+{token_hex(4)}@example.org"
    body = {"subject": name, "email": name}
    await tenancy.must("/v1/subjects", body, status=201, key=tenancy.manage_key)
    wish = {"subject": name, "factor": "totp"}

    refused = await tenancy.ask("/v1/enrollments", wish)
    flag = {"then": "flag", "names": ["info", "balie"]}
    path = "/v1/settings/mailboxes"
    chosen = await tenancy.ask(path, flag, key=tenancy.manage_key, method="PUT")
    flagged = await tenancy.must("/v1/enrollments", wish, status=201)

    assert (refused.status_code, refused.json()["code"]) == (403, "shared_mailbox")
    assert chosen.status_code == 200, chosen.text
    assert flagged["shared_mailbox"] is True
