import json
from base64 import b32decode, b64decode
from datetime import timedelta
from io import BytesIO
from urllib.parse import unquote
from uuid import uuid4

import pyotp
import pytest
import zxingcpp
from PIL import Image

from contracts.rules import Match, Rule, RuleRequirement, Strength
from contracts.vocabulary import Factor, Scope
from tests.integration.enrollment.world import World

TEN_MINUTES = timedelta(minutes=10)


@pytest.mark.requirement("A1")
@pytest.mark.requirement("E2")
async def test_shows_one_secret_as_picture_uri_and_key(world: World) -> None:
    application = await world.application(name="Acme HR: staff & co")
    person = world.person(application.tenant, label="Zoë:manager@example.org")
    body = {"subject": person.name, "factor": "totp"}

    answer = await world.ask(application, "POST", "/v1/enrollments", body)

    shown = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    picture = Image.open(BytesIO(b64decode(shown["qr_png"].removeprefix("data:image/png;base64,"))))
    read = zxingcpp.read_barcodes(
        picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    )
    assert [code.text for code in read] == [shown["otpauth_uri"]]
    assert shown["qr_svg"].startswith("<svg ")
    assert "style" not in shown["qr_svg"]
    phone = pyotp.parse_uri(shown["otpauth_uri"])
    assert isinstance(phone, pyotp.TOTP)
    assert phone.secret == shown["key"].replace(" ", "")
    assert len(b32decode(phone.secret)) == 20
    assert {len(group) for group in shown["key"].split(" ")} == {4}
    assert (phone.issuer, phone.name) == (
        "Acme HR\N{MODIFIER LETTER COLON} staff & co",
        "Zoë:manager@example.org",
    )
    assert (shown["digits"], shown["period"], shown["algorithm"]) == (6, 30, "SHA1")
    assert (phone.digits, phone.interval, phone.digest().name) == (6, 30, "sha1")


@pytest.mark.requirement("C5")
async def test_logins_with_one_address_are_separate_entries(world: World) -> None:
    application = await world.application()
    labels = ("kim@example.org (employee)", "kim@example.org (manager)")
    people = [world.person(application.tenant, label=label) for label in labels]

    phones = [(await world.start(application, person)).phone for person in people]

    assert tuple(phone.name for phone in phones) == labels


async def test_shows_how_an_enrollment_stands_but_never_its_secret(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    enrolling = await world.start(application, person)
    path = f"/v1/enrollments/{enrolling.enrollment_id}"

    before = await world.ask(application, "GET", path)
    await world.confirm(application, enrolling, world.wrong_code(enrolling))
    confirmed = (await world.confirm(application, enrolling, world.code(enrolling))).json()
    after = await world.ask(application, "GET", path)

    assert before.json()["status"] == "pending"
    assert (before.json()["tries_left"], before.json()["authenticator_id"]) == (5, None)
    assert (after.json()["status"], after.json()["tries_left"]) == ("confirmed", 4)
    assert after.json()["authenticator_id"] == confirmed["authenticator_id"]
    assert enrolling.secret not in before.text + after.text


async def test_an_unknown_subject_cannot_enroll(world: World) -> None:
    application = await world.application()
    body = {"subject": "nobody@example.org", "factor": "totp"}

    answer = await world.ask(application, "POST", "/v1/enrollments", body)

    assert (answer.status_code, answer.json()["code"]) == (404, "subject_unknown")


async def test_says_when_policy_does_not_answer(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    world.neighbours.policy_down = True
    body = {"subject": person.name}

    start = await world.ask(application, "POST", "/v1/enrollments", body | {"factor": "totp"})
    search = await world.ask(application, "POST", "/v1/authenticators/search", body)

    for answer in (start, search):
        assert (answer.status_code, answer.json()["code"]) == (503, "policy_unavailable")


@pytest.mark.parametrize(
    ("factors", "status", "code"),
    [
        (None, 503, "policy_unknown"),
        ((), 403, "factor_not_allowed"),
        ((Factor.SMS,), 403, "factor_not_allowed"),
    ],
)
async def test_enrolls_only_what_the_policy_allows(
    world: World, factors: tuple[Factor, ...] | None, status: int, code: str
) -> None:
    application = await world.application(factors=factors)
    person = world.person(application.tenant)
    body = {"subject": person.name, "factor": "totp"}

    answer = await world.ask(application, "POST", "/v1/enrollments", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await world.events(person) == []


async def test_a_subject_has_at_most_five_authenticators(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    await world.enroll(application, person)
    late = await world.start(application, person)
    for _ in range(4):
        await world.enroll(application, person)
    body = {"subject": person.name, "factor": "totp"}

    started = await world.ask(application, "POST", "/v1/enrollments", body)
    confirmed = await world.confirm(application, late, world.code(late))

    for answer in (started, confirmed):
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_authenticators")


@pytest.mark.parametrize(
    "change",
    [
        {"factor": "sms"},
        {"factor": None},
        {"name": ""},
        {"name": "a" * 65},
        {"name": " phone"},
        {"name": "pho\u200bne"},
        {"name": "cafe\u0301"},
        {"subject": " kim"},
        {"subject": "k" * 321},
        {"tenant": str(uuid4())},
        {"secret": "JBSWY3DPEHPK3PXP"},
    ],
)
async def test_a_malformed_start_is_refused(world: World, change: dict[str, object]) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    body = {"subject": person.name, "factor": "totp", "name": "phone"} | change

    answer = await world.ask(application, "POST", "/v1/enrollments", body)

    assert answer.status_code == 422
    assert person.name not in answer.text


@pytest.mark.security("S14")
async def test_events_and_tables_hold_nothing_secret_in_clear(world: World) -> None:
    application = await world.application()
    name = f"Kim's phone {uuid4().hex}"
    person = world.person(application.tenant, label=f"label-{uuid4().hex}")
    await world.start(application, person, name=name)
    enrolled = await world.enroll(application, person, name=name)
    canaries = [name, person.name, enrolled.secret, b32decode(enrolled.secret).hex(), "otpauth"]

    tables = ("outbox", "enrollment", "authenticator", "subject", "data_key")
    text = json.dumps(
        [await world.rows(f"SELECT *, t::text AS all_of_it FROM {table} t") for table in tables],
        default=str,
    )
    payloads = await world.rows("SELECT convert_from(payload, 'UTF8') AS body FROM outbox")
    text += "".join(str(row["body"]) for row in payloads)

    assert len(text) > 1000
    assert [canary for canary in canaries if canary in unquote(text)] == []


@pytest.mark.parametrize("scopes", [(Scope.VERIFY,), (Scope.MANAGE,)])
async def test_needs_the_scope_enroll(world: World, scopes: tuple[Scope, ...]) -> None:
    application = await world.application(scopes=scopes)
    anything = str(uuid4())
    calls = [
        ("POST", "/v1/enrollments"),
        ("GET", f"/v1/enrollments/{anything}"),
        ("POST", f"/v1/enrollments/{anything}/confirmation"),
        ("POST", f"/v1/enrollments/{anything}/handover"),
        ("POST", f"/v1/enrollments/{anything}/code"),
        ("POST", "/v1/enrollments/email-code"),
        ("POST", "/v1/enrollments/continuation"),
    ]
    if Scope.MANAGE not in scopes:
        # Whoever may help people sees these, too.
        one = f"/v1/authenticators/{anything}"
        calls += [(method, one) for method in ("GET", "PATCH", "DELETE")]
        calls += [("POST", "/v1/authenticators/search")]

    answers = [await world.ask(application, method, path, {}) for method, path in calls]

    assert {answer.status_code for answer in answers} == {403}
    assert {answer.json()["code"] for answer in answers} == {"missing_scope"}


@pytest.mark.requirement("B1")
async def test_the_rules_say_who_may_enroll_what(world: World) -> None:
    strict = Rule(
        name="admins",
        match=Match(user_types=("admin",)),
        starts=None,
        requirement=RuleRequirement.REQUIRED,
        factors=(Factor.PASSKEY,),
        strength=Strength.PHISHING_RESISTANT,
    )
    application = await world.application(rules=(strict,))
    admin, other = world.person(application.tenant), world.person(application.tenant)
    world.neighbours.user_types[admin.subject_ref] = "admin"

    bodies = [{"subject": person.name, "factor": "totp"} for person in (admin, other)]
    refused, started = [
        await world.ask(application, "POST", "/v1/enrollments", body) for body in bodies
    ]

    assert (refused.status_code, refused.json()["code"]) == (403, "factor_not_allowed")
    assert started.status_code == 201

    # Of an earlier release: that it says no attributes does not say that there are none.
    world.neighbours.says_attributes = False
    bodies = [{"subject": person.name, "factor": "totp"} for person in (admin, other)]
    unclear = [await world.ask(application, "POST", "/v1/enrollments", body) for body in bodies]
    assert {one.status_code for one in unclear} == {403}
