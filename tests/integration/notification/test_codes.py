"""Codes of enrollments: fetched for one try, sent once, and nowhere else."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from starlette.applications import Starlette

from contracts.codes import CodeChannel, CodePurpose
from contracts.enrollment import CODE_REQUESTED, CodeRequested
from contracts.envelope import about_person
from contracts.vocabulary import Language
from deploy.local.handset import Handset
from libs.messaging.cloud_event import CloudEvent
from tests.fixtures.services import ServiceDatabase, TestClock
from tests.integration.notification.enrollment_simulator import EnrollmentSimulator
from tests.integration.notification.phone_simulator import PhoneSimulator
from tests.integration.notification.smtp_simulator import SmtpSimulator
from tests.integration.notification.world import (
    Person,
    PolicySimulator,
    World,
    running_world,
    settings_for,
)

NUMBER = "+31612345678"


@pytest.fixture
async def phones() -> AsyncIterator[PhoneSimulator]:
    simulator = PhoneSimulator()
    async with simulator.listening():
        yield simulator


@pytest.fixture
def enrollment() -> EnrollmentSimulator:
    return EnrollmentSimulator()


@pytest.fixture
async def world(
    stored: ServiceDatabase,
    smtp: SmtpSimulator,
    phones: PhoneSimulator,
    enrollment: EnrollmentSimulator,
) -> AsyncIterator[World]:
    settings = settings_for(
        stored,
        smtp,
        twilio_url=phones.url,
        twilio_account_sid=f"AC{'0' * 32}",
        twilio_auth_token="a token",
        twilio_from="+15005550006",
        twilio_patience=timedelta(seconds=5),
    )
    policy = PolicySimulator()
    inside = {"policy": policy.app(), "enrollment": enrollment.app()}
    running = running_world(stored, smtp, policy, TestClock(), settings, inside=inside)
    async with running as made:
        yield made


def requested(
    world: World, person: Person, channel: CodeChannel, code_id: UUID | None = None
) -> CloudEvent:
    data = CodeRequested(
        code_id=code_id or uuid4(),
        channel=channel,
        purpose=CodePurpose.OPEN if channel is CodeChannel.EMAIL else CodePurpose.CONFIRM,
        application_id=uuid4(),
        enrollment_id=None,
        expires=world.clock() + timedelta(minutes=10),
    )
    about, now = person.subject_ref, world.clock()
    return about_person(CODE_REQUESTED, data, tenant=person.tenant, subject_ref=about, now=now)


def known(enrollment: EnrollmentSimulator, event: CloudEvent, *, number: str | None = None) -> None:
    code_id = UUID(str(event.data["code_id"]))
    enrollment.codes[code_id] = {"code": "804172", "application": "Payroll", "number": number}


@pytest.mark.requirement("D2")
async def test_a_code_comes_by_mail_once(
    world: World, smtp: SmtpSimulator, enrollment: EnrollmentSimulator
) -> None:
    person = world.person()
    event = requested(world, person, CodeChannel.EMAIL)
    known(enrollment, event)

    await world.hear(event)
    await world.hear(event)
    await world.deliver_due()
    await world.try_again()

    [mail] = smtp.delivered
    assert mail.recipient == person.email
    plain = mail.mail.get_body(("plain",))
    assert plain is not None
    assert "804 172" in plain.get_content()
    assert "804" not in str(mail.mail["Subject"]), "a subject shows on a locked screen"
    assert await world.state(person) == ("sent", None)
    assert await world.events(person) == ["mfa.code_sent"]
    [acknowledged] = enrollment.acknowledged
    assert str(acknowledged.code_id) == event.data["code_id"]


@pytest.mark.parametrize(
    ("channel", "kind", "part"),
    [(CodeChannel.SMS, "Messages", "Body"), (CodeChannel.VOICE, "Calls", "Twiml")],
)
async def test_a_code_comes_by_telephone_once(
    world: World,
    phones: PhoneSimulator,
    enrollment: EnrollmentSimulator,
    channel: CodeChannel,
    kind: str,
    part: str,
) -> None:
    person = world.person(language=Language.DUTCH)
    event = requested(world, person, channel)
    known(enrollment, event, number=NUMBER)

    await world.hear(event)
    await world.deliver_due()
    await world.try_again()

    [asked] = phones.asked
    assert asked.path == f"/2010-04-01/Accounts/AC{'0' * 32}/{kind}.json"
    assert (asked.form["To"], asked.form["From"]) == (NUMBER, "+15005550006")
    said = re.sub(r"<[^>]*>", "", asked.form[part])
    assert "804172" in "".join(letter for letter in said if letter.isdigit())
    assert await world.events(person) == ["mfa.code_sent"]


@pytest.mark.parametrize(
    ("status", "state", "tried"),
    [
        (201, ("sent", None), 1),
        (400, ("failed", "refused_by_server"), 1),
        (401, ("failed", "refused_by_server"), 1),
        (429, ("pending", None), 4),
        (500, ("unknown", "no_answer"), 1),
        (503, ("unknown", "no_answer"), 1),
        (302, ("unknown", "no_answer"), 1),
        (0, ("unknown", "no_answer"), 1),
    ],
)
async def test_what_a_provider_may_have_is_not_sent_again(
    world: World,
    phones: PhoneSimulator,
    enrollment: EnrollmentSimulator,
    status: int,
    state: tuple[str, str | None],
    tried: int,
) -> None:
    person = world.person()
    event = requested(world, person, CodeChannel.SMS)
    known(enrollment, event, number=NUMBER)
    phones.status = status

    await world.hear(event)
    await world.deliver_due()
    await world.try_again()

    assert await world.state(person) == state
    assert len(phones.asked) == tried


async def test_a_provider_that_cannot_be_reached_is_tried_again(
    world: World, phones: PhoneSimulator, enrollment: EnrollmentSimulator
) -> None:
    person = world.person()
    event = requested(world, person, CodeChannel.SMS)
    known(enrollment, event, number=NUMBER)
    await world.hear(event)

    await phones.stop()
    await world.deliver_due()
    waiting = await world.state(person)
    async with phones.listening():
        await world.try_again()

    assert waiting == ("pending", None)
    assert await world.state(person) == ("sent", None)
    assert len(phones.asked) == 1


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (404, ("suppressed", "withdrawn")),
        (409, ("suppressed", "withdrawn")),
        (410, ("suppressed", "withdrawn")),
        (503, ("pending", None)),
    ],
)
async def test_a_code_that_was_replaced_or_used_is_not_sent(
    world: World,
    smtp: SmtpSimulator,
    enrollment: EnrollmentSimulator,
    status: int,
    state: tuple[str, str | None],
) -> None:
    person = world.person()
    event = requested(world, person, CodeChannel.EMAIL)
    enrollment.status = status

    await world.hear(event)
    await world.deliver_due()

    assert await world.state(person) == state
    assert smtp.delivered == []


async def test_a_code_is_no_news_after_its_end(
    world: World, smtp: SmtpSimulator, enrollment: EnrollmentSimulator
) -> None:
    late, waiting = world.person(), world.person()
    events = [requested(world, person, CodeChannel.EMAIL) for person in (late, waiting)]
    for event in events:
        known(enrollment, event)
    enrollment.status = 503
    await world.hear(events[1])
    await world.deliver_due()

    world.clock.forward(timedelta(minutes=10))
    enrollment.status = 200
    await world.hear(events[0])
    await world.try_again()

    assert await world.state(late) == ("suppressed", "too_old")
    assert await world.state(waiting) == ("failed", "gave_up")
    assert smtp.delivered == []


async def test_without_a_provider_a_number_gets_nothing_and_that_is_said(
    stored: ServiceDatabase, smtp: SmtpSimulator, enrollment: EnrollmentSimulator
) -> None:
    policy, settings = PolicySimulator(), settings_for(stored, smtp)
    inside = {"policy": policy.app(), "enrollment": enrollment.app()}
    running = running_world(stored, smtp, policy, TestClock(), settings, inside=inside)
    async with running as world:
        person = world.person()
        event = requested(world, person, CodeChannel.SMS)
        known(enrollment, event, number=NUMBER)
        await world.hear(event)
        await world.deliver_due()

        assert await world.state(person) == ("suppressed", "no_sender")
        assert await world.events(person) == ["mfa.code_suppressed"]


@pytest.mark.fault("R17")
async def test_a_sender_that_dies_after_it_may_have_sent_sends_no_second_time(
    world: World, phones: PhoneSimulator, enrollment: EnrollmentSimulator
) -> None:
    person = world.person()
    event = requested(world, person, CodeChannel.SMS)
    known(enrollment, event, number=NUMBER)
    phones.held = asyncio.Event()
    await world.hear(event)

    dying = asyncio.create_task(world.deliver_due())
    await asyncio.wait_for(phones.began.wait(), 20)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    phones.held.set()
    await world.try_again()

    assert len(phones.asked) == 1
    assert await world.state(person) == ("unknown", "no_answer")
    assert await world.events(person) == ["mfa.code_unknown"]


async def test_no_code_and_no_number_is_kept_or_announced(
    world: World, phones: PhoneSimulator, enrollment: EnrollmentSimulator
) -> None:
    person = world.person()
    for channel in CodeChannel:
        event = requested(world, person, channel)
        known(enrollment, event, number=None if channel is CodeChannel.EMAIL else NUMBER)
        await world.hear(event)
    await world.deliver_due()

    kept = json.dumps(
        [
            await world.rows("SELECT message::text AS row FROM message"),
            await world.rows("SELECT convert_from(payload, 'UTF8') AS row FROM outbox"),
        ]
    )
    assert len(phones.asked) == 2
    assert "code_sent" in kept
    assert [secret for secret in ("804172", "612345678", "804 172") if secret in kept] == []


async def test_the_local_handset_speaks_as_much_of_the_provider_as_is_asked(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    handset = Handset(tmp_path_factory.mktemp("handset"))
    app = Starlette(routes=list(handset.routes()))
    sender = world.parts.deliver.outgoing.phone
    assert sender is not None
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as http:
        there = replace(sender, http=http)
        written = await there.write(NUMBER, "804172 is your code")
        called = await there.call(NUMBER, "<Response><Say>8</Say><Say>0</Say></Response>")
        nobody = await there.write("12", "text")

    assert [written.value, called.value, nobody.value] == ["taken", "taken", "refused"]
    assert [(one.kind, one.text) for one in handset.newest(NUMBER)] == [
        ("voice", "8 0"),
        ("sms", "804172 is your code"),
    ]
