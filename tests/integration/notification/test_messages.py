import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from contracts.vocabulary import Language
from libs.messaging.cloud_event import InvalidEvent
from tests.fixtures.services import ServiceDatabase, TestClock
from tests.integration.notification.smtp_simulator import SmtpSimulator
from tests.integration.notification.world import (
    PolicySimulator,
    World,
    running_world,
    settings_for,
)

_DAY = timedelta(hours=24)
_SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("language", "subject", "sentence"),
    [
        (Language.ENGLISH, "An authenticator was added to your account", "Was this not you?"),
        (
            Language.DUTCH,
            "Er is een authenticator aan uw account toegevoegd",
            "Hebt u dit niet zelf gedaan?",
        ),
    ],
)
async def test_the_mail_is_in_the_subjects_language(
    world: World, language: Language, subject: str, sentence: str
) -> None:
    person = world.person(language=language)
    await world.hear(world.enrolled(person))

    await world.deliver_due()

    mail = world.smtp.delivered[0].mail
    assert (mail["To"], mail["Subject"]) == (person.email, subject)
    assert mail["Content-Language"] == language
    assert sentence in _part(mail, "plain")
    assert sentence in _part(mail, "html")
    assert (await world.message(person))["language"] == language


async def test_the_mail_says_who_sent_it_when_and_that_no_robot_should_answer(
    world: World,
) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))

    await world.deliver_due()

    mail, message = world.smtp.delivered[0].mail, await world.message(person)
    assert mail["From"] == "Watchword <watchword@example.org>"
    assert mail["Message-ID"] == f"<{message['id']}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo is not None
    assert "MAIL FROM:<watchword@example.org>" in world.smtp.commands
    assert "://" not in mail.as_string()  # no link at all, so none that can be forged


async def test_a_reset_is_told_too(world: World) -> None:
    person = world.person()
    await world.hear(world.reset_completed(person))

    await world.deliver_due()

    subject = world.smtp.delivered[0].mail["Subject"]
    assert subject == "The authenticators of your account were removed"
    assert (await world.message(person))["template"] == "authenticators_reset"


async def test_a_later_try_has_the_same_message_id(world: World) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    world.smtp.verdict = "451 try again"
    await world.deliver_due()
    world.smtp.verdict = "250 taken"

    await world.try_again()

    message = await world.message(person)
    assert message["tries"] == 2
    assert world.smtp.delivered[0].message_id == f"<{message['id']}@example.org>"
    assert [claim.attempt_id for claim in world.policy.claims] == [message["id"]] * 2


@pytest.mark.fault("R21")
@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (_DAY - 60 * _SECOND, ("sent", None)),
        (_DAY, ("suppressed", "too_old")),
        (30 * _DAY, ("suppressed", "too_old")),
    ],
)
async def test_old_events_send_nothing(
    world: World, age: timedelta, expected: tuple[str, str | None]
) -> None:
    person = world.person()
    await world.hear(world.enrolled(person, ago=age))

    await world.deliver_due()

    assert await world.state(person) == expected
    assert len(world.smtp.delivered) == (expected[0] == "sent")
    assert await world.events(person) == [f"mfa.notification_{expected[0]}"]


@pytest.mark.fault("R21")
async def test_a_topic_replayed_into_an_empty_database_sends_nothing(world: World) -> None:
    people = [world.person() for _ in range(5)]

    for person in people:
        await world.hear(world.enrolled(person, ago=2 * _DAY))
        await world.hear(world.enrolled(person, ago=25 * timedelta(hours=1)))
    await world.try_again()

    assert (world.smtp.connections, world.policy.claims) == (0, [])
    for person in people:
        assert await world.events(person) == ["mfa.notification_suppressed"] * 2


@pytest.mark.parametrize(
    "address",
    [
        None,
        "not an address",
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org>\r\nDATA",
        "a@example.org, b@example.org",
        "Name <a@example.org>",
        '"a b"@example.org',
        "@example.org:a@example.net",
        "a@localhost",
        "a@[127.0.0.1]",
    ],
)
async def test_what_is_not_one_address_is_not_written_to(world: World, address: str | None) -> None:
    person = world.person(email=address)
    await world.hear(world.enrolled(person))

    await world.deliver_due()

    assert await world.state(person) == ("suppressed", "no_address")
    assert await world.events(person) == ["mfa.notification_suppressed"]
    assert world.smtp.connections == 0


async def test_a_person_whom_policy_has_forgotten_is_not_written_to(world: World) -> None:
    person = world.person()
    del world.policy.contacts[person.subject_ref]
    await world.hear(world.enrolled(person))

    await world.deliver_due()

    assert await world.state(person) == ("suppressed", "no_address")


@pytest.mark.parametrize("status", [503, 403, 429])
async def test_policy_down_and_up_again(world: World, status: int) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    world.policy.status = status

    await world.deliver_due()
    await world.try_again()

    assert await world.state(person) == ("pending", None)
    assert await world.events(person) == []
    assert world.smtp.connections == 0
    world.policy.status = 200
    await world.try_again()
    assert await world.state(person) == ("sent", None)
    assert len(world.smtp.delivered) == 1


async def test_an_answer_outside_the_contract_is_asked_for_again(world: World) -> None:
    person = world.person()
    world.policy.contacts[person.subject_ref] = {"email": person.email, "language": "tlh"}
    await world.hear(world.enrolled(person))

    await world.deliver_due()

    assert await world.state(person) == ("pending", None)


async def test_waits_grow(world: World) -> None:
    await world.hear(world.enrolled(world.person()))
    world.policy.status = 503
    waits = []

    for _ in range(4):
        await world.make_due()
        await world.deliver_due()
        [row] = await world.rows("SELECT extract(epoch FROM due - now()) AS wait FROM message")
        waits.append(round(float(str(row["wait"]))))

    assert waits == [2, 4, 8, 16]


@pytest.mark.parametrize("trouble", ["policy", "mail server"])
async def test_what_cannot_be_sent_for_a_day_is_given_up(world: World, trouble: str) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    world.policy.status = 503 if trouble == "policy" else 200
    world.smtp.rcpt = "450 greylisted"
    await world.deliver_due()
    assert await world.state(person) == ("pending", None)

    world.clock.forward(_DAY)
    world.policy.status, world.smtp.rcpt = 200, "250 ok"
    await world.try_again()

    assert await world.state(person) == ("failed", "gave_up")
    assert await world.events(person) == ["mfa.notification_failed"]
    assert world.smtp.delivered == []


async def test_the_last_try_gives_up_by_itself(world: World) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    world.policy.status = 503

    world.clock.forward(_DAY - _SECOND)  # the next try would be too late
    await world.deliver_due()

    assert await world.state(person) == ("failed", "gave_up")


async def test_an_event_outside_its_contract_is_refused(world: World) -> None:
    event = world.enrolled(world.person())
    event.data.pop("authenticator_id")

    with pytest.raises(InvalidEvent):
        await world.hear(event)

    assert await world.rows("SELECT 1 FROM message") == []


async def test_an_address_that_needs_smtputf8_goes_only_where_it_can(world: World) -> None:
    person = world.person(email="jürgen@exämple.org")
    await world.hear(world.enrolled(person))
    await world.hear(world.enrolled(other := world.person(email="jan@exämple.org")))

    await world.deliver_due()

    assert await world.state(person) == ("failed", "refused_by_server")
    assert await world.state(other) == ("sent", None)
    assert world.smtp.delivered[0].recipient == "jan@xn--exmple-cua.org"


@pytest.mark.parametrize(
    "login", [{}, {"smtp_user": "watchword", "smtp_password": "canary-password"}]
)
async def test_without_promised_tls_nothing_is_said(
    stored: ServiceDatabase, smtp: SmtpSimulator, login: Mapping[str, str]
) -> None:
    settings = settings_for(stored, smtp, smtp_tls="starttls", **login)
    async with running_world(stored, smtp, PolicySimulator(), TestClock(), settings) as world:
        person = world.person()
        await world.hear(world.enrolled(person))

        await world.deliver_due()

        assert await world.state(person) == ("pending", None)
        assert [line.partition(" ")[0] for line in smtp.commands] == ["EHLO"]


@pytest.mark.parametrize(
    ("known", "expected"), [(True, ("sent", None)), (False, ("pending", None))]
)
async def test_over_tls_the_server_has_to_show_who_it_is(
    stored: ServiceDatabase, tmp_path: Path, known: bool, expected: tuple[str, str | None]
) -> None:
    smtp, certificate = SmtpSimulator(), _certificate(tmp_path / "mine.pem")
    another = _certificate(tmp_path / "another.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with smtp.listening(context):
        settings = settings_for(
            stored, smtp, smtp_tls="tls", smtp_ca_file=certificate if known else another
        )
        async with running_world(stored, smtp, PolicySimulator(), TestClock(), settings) as world:
            person = world.person()
            await world.hear(world.enrolled(person))

            await world.deliver_due()

            assert await world.state(person) == expected
            assert len(smtp.delivered) == known


def _certificate(file: Path) -> Path:
    """Make a key and a certificate of 127.0.0.1 that vouches for itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


def _part(mail: EmailMessage, subtype: str) -> str:
    body = mail.get_body((subtype,))
    assert body is not None
    return re.sub(r"\s+", " ", str(body.get_content()))
