"""Codes to the login address (D2), and to telephones (B4): once, in time, and not too many."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx2
import pytest

from contracts.rules import Match, Rule, RuleRequirement, Strength
from contracts.subjects import Mailbox
from contracts.vocabulary import Factor, Scope
from tests.integration.enrollment.starting import (
    NUMBER,
    begin,
    claim,
    confirm,
    enroll,
    sent,
)
from tests.integration.enrollment.things import Application, Person
from tests.integration.enrollment.world import World

GATED = Rule(
    name="city",
    match=Match(),
    starts=None,
    requirement=RuleRequirement.REQUIRED,
    factors=(Factor.TOTP, Factor.SMS, Factor.RECOVERY_CODE),
    strength=Strength.ANY,
    email_code=True,
)
HALF_A_MINUTE = timedelta(seconds=30)


async def gated(world: World) -> tuple[Application, Person]:
    application = await world.application(rules=(GATED,))
    return application, world.person(application.tenant)


async def ask_code(world: World, application: Application, person: Person) -> httpx2.Response:
    body = {"subject": person.name}
    return await world.ask(application, "POST", "/v1/enrollments/email-code", body)


async def start(
    world: World, application: Application, person: Person, code: str | None, **more: object
) -> httpx2.Response:
    wish = {"subject": person.name, "factor": "totp", **more}
    if code is not None:
        wish["email_code"] = code
    return await world.ask(application, "POST", "/v1/enrollments", wish)


def other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


@pytest.mark.requirement("D2")
async def test_an_enrollment_opens_with_the_code_that_was_sent(world: World) -> None:
    application, person = await gated(world)

    closed = await start(world, application, person, None)
    early = await start(world, application, person, "123456")
    asked = await ask_code(world, application, person)
    message = await sent(world, person)
    opened = await start(world, application, person, message["code"])
    again = await start(world, application, person, message["code"])

    assert (closed.status_code, closed.json()["code"]) == (403, "email_code_required")
    assert (early.status_code, early.json()["code"]) == (403, "email_code_gone")
    assert asked.status_code == 202
    assert (message["application"], message["number"]) == ("Acme HR", "None")
    assert opened.status_code == 201
    assert (again.status_code, again.json()["code"]) == (403, "email_code_gone"), "once"
    assert await world.event_types(person) == [
        "enrollment_code_requested",
        "enrollment_opened",
        "enrollment_started",
    ]


@pytest.mark.requirement("D2")
async def test_five_tries_and_ten_minutes(world: World) -> None:
    application, person = await gated(world)
    late_application, late = await gated(world)
    await ask_code(world, application, person)
    await ask_code(world, late_application, late)
    code, late_code = [(await sent(world, one))["code"] for one in (person, late)]

    wrong = [await start(world, application, person, other(code)) for _ in range(5)]
    exhausted = await start(world, application, person, code)
    world.clock.forward(timedelta(minutes=10))
    expired = await start(world, late_application, late, late_code)

    assert [answer.json().get("detail") for answer in wrong] == ["4", "3", "2", "1", "0"]
    assert exhausted.json()["code"] == "email_code_gone"
    assert expired.json()["code"] == "email_code_gone"


@pytest.mark.security("S1")
async def test_of_parallel_starts_with_one_code_one_opens(world: World) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    code = (await sent(world, person))["code"]

    answers = await asyncio.gather(*(start(world, application, person, code) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 7


@pytest.mark.security("S1")
async def test_parallel_guesses_are_five(world: World) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    code = (await sent(world, person))["code"]

    await asyncio.gather(*(start(world, application, person, other(code)) for _ in range(20)))

    [row] = await world.rows(
        "SELECT tries_left, status FROM sent_code WHERE subject_ref = $1", person.subject_ref
    )
    assert (row["tries_left"], row["status"]) == (0, "exhausted")
    assert (await start(world, application, person, code)).status_code == 403


@pytest.mark.standard("NIST SP 800-63B-4 section 3.1.3.1: a new code does not reset the count")
async def test_another_code_makes_the_first_void_and_gives_no_tries_back(world: World) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    first = (await sent(world, person))["code"]
    for _ in range(3):
        await start(world, application, person, other(first))
    too_soon = await ask_code(world, application, person)
    world.clock.forward(HALF_A_MINUTE)

    await ask_code(world, application, person)
    second = (await sent(world, person))["code"]
    old = await start(world, application, person, first if first != second else other(first))
    opened = await start(world, application, person, second)

    assert (too_soon.status_code, too_soon.json()["code"]) == (429, "too_many_codes")
    assert too_soon.headers["retry-after"] == "30"
    assert (old.json()["code"], old.json()["detail"]) == ("wrong_code", "1")
    assert opened.status_code == 201


async def test_a_code_belongs_to_one_person_and_one_application(world: World) -> None:
    application, person = await gated(world)
    elsewhere = await world.application(tenant=application.tenant, rules=(GATED,))
    somebody = world.person(application.tenant)
    await ask_code(world, application, person)
    code = (await sent(world, person))["code"]

    for caller, about in ((elsewhere, person), (application, somebody)):
        answer = await start(world, caller, about, code)
        assert answer.json()["code"] == "email_code_gone"

    assert (await start(world, application, person, code)).status_code == 201


async def test_five_codes_an_hour_and_ten_a_day(world: World) -> None:
    application, person = await gated(world)

    statuses = []
    for _ in range(5):
        statuses.append((await ask_code(world, application, person)).status_code)
        world.clock.forward(HALF_A_MINUTE)
    sixth = await ask_code(world, application, person)
    for _ in range(5):
        world.clock.forward(timedelta(hours=1))
        statuses.append((await ask_code(world, application, person)).status_code)
    world.clock.forward(timedelta(hours=1))
    eleventh = await ask_code(world, application, person)

    assert statuses == [202] * 10
    assert sixth.status_code == eleventh.status_code == 429
    assert int(eleventh.headers["retry-after"]) > 3600


async def test_a_proof_of_presence_opens_too_and_somebody_elses_does_not(world: World) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    code = (await sent(world, person))["code"]
    about = await enroll(world, application, person, Factor.TOTP, email_code=code)
    stranger = world.person(application.tenant)
    sign = world.neighbours.receipt(application.application_id, about.authenticator_id)
    wish = {"subject": stranger.name, "factor": "totp"}

    not_theirs = await world.ask(application, "POST", "/v1/enrollments", wish, receipt=sign)
    theirs = await start(world, application, person, None, factor="recovery_code")

    assert not_theirs.json()["code"] == "email_code_required"
    assert theirs.status_code == 201, theirs.text


@pytest.mark.requirement("D2")
async def test_the_gate_of_one_application_is_not_gone_round_by_another(world: World) -> None:
    strict = await world.application(scopes=(Scope.ENROLL, Scope.VERIFY), rules=(GATED,))
    lax = await world.application(tenant=strict.tenant)
    person = world.person(strict.tenant)

    closed = await start(world, lax, person, None)
    await ask_code(world, lax, person)
    opened = await start(world, lax, person, (await sent(world, person))["code"])

    assert (closed.status_code, closed.json()["code"]) == (403, "email_code_required")
    assert opened.status_code == 201


async def test_no_code_is_sent_that_nobody_could_use(world: World) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    code = (await sent(world, person))["code"]
    for _ in range(5):
        await start(world, application, person, other(code))
    world.clock.forward(timedelta(minutes=1))

    used_up = await ask_code(world, application, person)
    world.clock.forward(timedelta(minutes=9))
    later = await ask_code(world, application, person)
    good = await start(world, application, person, (await sent(world, person))["code"])

    assert (used_up.status_code, used_up.headers["retry-after"]) == (429, "540")
    assert (later.status_code, good.status_code) == (202, 201)


@pytest.mark.requirement("B5")
async def test_a_telephone_that_was_just_confirmed_opens_a_second_enrollment(world: World) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    code = (await sent(world, person))["code"]
    begun = await begin(world, application, person, Factor.SMS, email_code=code)
    shown = (await confirm(world, application, begun)).json()["presence"]
    wish = {"subject": person.name, "factor": "totp"}

    second = await world.ask(application, "POST", "/v1/enrollments", wish, receipt=shown)
    third = await world.ask(application, "POST", "/v1/enrollments", wish, receipt=shown)

    assert second.status_code == 201, second.text
    assert third.json()["code"] == "email_code_required", "once"


async def test_without_an_address_nothing_is_sent(world: World) -> None:
    application, person = await gated(world)
    world.neighbours.mailboxes[person.subject_ref] = Mailbox.NONE

    answer = await ask_code(world, application, person)

    assert (answer.status_code, answer.json()["code"]) == (409, "no_address")
    assert await world.event_types(person) == []


@pytest.mark.requirement("D6")
async def test_shared_mailboxes_are_refused_or_flagged(world: World) -> None:
    application = await world.application()
    refused, flagged = (world.person(application.tenant) for _ in range(2))
    world.neighbours.mailboxes[refused.subject_ref] = Mailbox.SHARED_REFUSED
    world.neighbours.mailboxes[flagged.subject_ref] = Mailbox.SHARED_FLAGGED

    no = await start(world, application, refused, None)
    no_code = await ask_code(world, application, refused)
    yes = await start(world, application, flagged, None)

    assert (no.status_code, no.json()["code"]) == (403, "shared_mailbox")
    assert (no_code.status_code, no_code.json()["code"]) == (403, "shared_mailbox")
    assert yes.json()["shared_mailbox"] is True
    [(kind, data)] = await world.events(flagged)
    assert (kind, data["shared_mailbox"]) == ("mfa.enrollment_started", True)


async def test_a_number_is_confirmed_by_the_newest_code(world: World) -> None:
    application = await world.application(factors=(Factor.SMS,))
    person = world.person(application.tenant)
    begun = await begin(world, application, person, Factor.SMS)
    too_soon = await world.ask(application, "POST", f"{begun.path}/code")
    world.clock.forward(HALF_A_MINUTE)

    resent = await world.ask(application, "POST", f"{begun.path}/code")
    second = (await sent(world, person))["code"]
    old = begun.code if begun.code != second else other(begun.code)
    with_old = await confirm(world, application, begun, old)
    with_new = await confirm(world, application, begun, second)

    assert begun.shown["sent_to"] == "+31 •••••••78"
    assert too_soon.status_code == 429
    assert resent.status_code == 202
    assert with_old.status_code == 403
    assert with_new.status_code == 200
    assert NUMBER[3:] not in str(await world.events(person))


async def test_one_number_gets_five_codes_an_hour_whoever_asks(world: World) -> None:
    application = await world.application(factors=(Factor.SMS, Factor.VOICE))
    answers = []
    for number in range(6):
        person = world.person(application.tenant)
        factor = ("sms", "voice")[number % 2]
        wish = {"subject": person.name, "factor": factor, "number": "06 12345678", "region": "NL"}
        answers.append(await world.ask(application, "POST", "/v1/enrollments", wish))
        world.clock.forward(HALF_A_MINUTE)

    assert [answer.status_code for answer in answers] == [201] * 5 + [429]
    assert await world.event_types(person) == [], "nothing of the sixth was begun"


async def test_one_person_has_five_codes_an_hour_sent_whatever_the_number(world: World) -> None:
    application = await world.application(factors=(Factor.SMS,))
    person = world.person(application.tenant)
    wishes = [
        {"subject": person.name, "factor": "sms", "number": f"+3161234567{last}"}
        for last in range(6)
    ]

    answers = [await world.ask(application, "POST", "/v1/enrollments", wish) for wish in wishes]

    assert [answer.status_code for answer in answers] == [201] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 3500


async def test_parallel_requests_send_one_code_to_a_number(world: World) -> None:
    application = await world.application(factors=(Factor.SMS,))
    people = [world.person(application.tenant) for _ in range(6)]
    wishes = [{"subject": one.name, "factor": "sms", "number": NUMBER} for one in people]

    answers = await asyncio.gather(
        *(world.ask(application, "POST", "/v1/enrollments", wish) for wish in wishes)
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [429] * 5


@pytest.mark.security("S6")
async def test_only_the_first_attempt_hears_the_code_and_nobody_after_its_end(
    world: World,
) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    [(_, data)] = await world.events(person)
    code_id, first, second = str(data["code_id"]), uuid4(), uuid4()

    strangers = await claim(world, person, code_id, first, subject_ref=uuid4())
    got = await claim(world, person, code_id, first)
    repeated = await claim(world, person, code_id, first)
    another = await claim(world, person, code_id, second)
    unknown = await claim(world, person, str(uuid4()), first)
    assert not isinstance(got, int)
    await start(world, application, person, got["code"])
    used = await claim(world, person, code_id, first)

    assert got == repeated
    assert (strangers, another, unknown, used) == (404, 409, 404, 410)
    [row] = await world.rows("SELECT sealed FROM sent_code WHERE id = $1", code_id)
    assert row["sealed"] is None


async def test_deleting_the_person_or_a_reset_voids_what_was_sent(world: World) -> None:
    application, person = await gated(world)
    await ask_code(world, application, person)
    [(_, data)] = await world.events(person)
    code = (await sent(world, person))["code"]

    await world.reset(person, uuid4())

    assert (await start(world, application, person, code)).json()["code"] == "email_code_gone"
    assert await claim(world, person, str(data["code_id"]), uuid4()) in (409, 410)
