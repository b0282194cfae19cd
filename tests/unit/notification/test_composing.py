import email
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError

import services.notification
from contracts import notification as contract
from contracts.vocabulary import Language
from services.notification.domain import message as domain
from services.notification.domain.delivery import NEWS_FOR
from services.notification.domain.message import Code, Contact, Content, Message, Template
from services.notification.senders.composing import Composer, Mail, Words

FOLDER = Path(services.notification.__file__).parent / "templates"
HAPPENED = datetime(2026, 5, 3, 23, 7, tzinfo=timezone(timedelta(hours=-2)))
WHEN = {Language.ENGLISH: "4 May 2026 at 01:07 UTC", Language.DUTCH: "4 mei 2026 om 01:07 uur UTC"}
NOT_YOU = {Language.ENGLISH: "Was this not you?", Language.DUTCH: "Hebt u dit niet zelf gedaan?"}
CODES = (Template.ENROLLMENT_CODE, Template.NUMBER_CODE)
ALL = [
    (template, language) for template in Template for language in Language if template not in CODES
]
VOICES = {Language.ENGLISH: "en-GB", Language.DUTCH: "nl-NL"}
CODE = Code("012345", "Payroll & Söhne", "+31612345678")
MESSAGE = Message(
    tenant=uuid4(),
    message_id=uuid4(),
    caused_by=uuid4(),
    subject_ref=uuid4(),
    template=Template.AUTHENTICATOR_ADDED,
    language=None,
    happened=HAPPENED,
    until=HAPPENED + NEWS_FOR,
    traceparent=None,
    tries=1,
)


@pytest.mark.parametrize(("template", "language"), ALL)
def test_every_template_tells_what_happened_when_and_what_to_do(
    template: Template, language: Language
) -> None:
    words = _composer().words(template, language, happened=HAPPENED)

    text = _in_one_line(words.text)
    assert WHEN[language] in text
    assert NOT_YOU[language] in text
    assert 10 < len(words.subject) < 60
    assert "{" not in text + words.subject
    assert max(len(line) for line in words.text.splitlines()) <= 72


@pytest.mark.parametrize(("template", "language"), ALL)
def test_the_html_part_says_the_same(template: Template, language: Language) -> None:
    words = _composer().words(template, language, happened=HAPPENED)

    visible = _in_one_line(re.sub(r"<(style|title)>.*?</\1>|<[^>]+>", " ", words.html, flags=re.S))
    for paragraph in (words.subject, *words.text.strip().split("\n\n")):
        assert _in_one_line(paragraph) in visible
    assert f'<html lang="{language}">' in words.html
    assert "viewport" in words.html
    for forbidden in ("<script", "<img", "href", "src=", "://", "@import", "url("):
        assert forbidden not in words.html


def test_every_template_is_used() -> None:
    names = {f"{template}.{language}.txt" for template in Template for language in Language}
    names |= {f"number_code.{language}.xml" for language in Language}

    assert {file.name for file in FOLDER.iterdir()} == names | {"layout.html"}


def test_a_field_that_is_missing_is_an_error() -> None:
    composer = _composer()

    with pytest.raises(UndefinedError):
        composer._templates.from_string("{{ nobody_gave_this }}").render(when="now")


def test_html_is_escaped() -> None:
    template = _composer()._templates.get_template("layout.html")

    html = template.render(language="en", subject="<b>&", paragraphs=["<script>", "x"])

    assert "<b>" not in html
    assert "<script>" not in html


def test_the_languages_differ() -> None:
    said: set[Words] = {
        _composer().words(template, language, happened=HAPPENED) for template, language in ALL
    }

    assert len({words.subject for words in said}) == len(ALL)


def test_a_mail_is_plain_ascii_in_crlf_lines() -> None:
    content = _composed("somebody@example.org").content

    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(len(line) for line in content.split(b"\r\n")) <= 998


def test_the_same_message_has_the_same_message_id() -> None:
    first, again = _composed("a@example.org"), _composed("a@example.org")

    assert _parsed(first)["Message-ID"] == _parsed(again)["Message-ID"]
    assert str(MESSAGE.message_id) in _parsed(first)["Message-ID"]


@pytest.mark.parametrize("evil", ["a@example.org\r\nBcc: b@example.org", "a@b.org\nX: y"])
def test_a_line_break_never_becomes_a_header(evil: str) -> None:
    with pytest.raises(ValueError, match="carriage return"):
        _composed(evil)


@pytest.mark.parametrize(
    "address", ["o'brien+x@example.org", "a=b/c!{d}@example.org", f"{'a' * 64}@{'b' * 60}.example"]
)
def test_unusual_addresses_come_through_unchanged(address: str) -> None:
    mail = _composed(address)

    assert mail.recipient == address
    assert _parsed(mail)["To"] == address


def test_nothing_shows_an_address() -> None:
    assert "somebody" not in repr(_composed("somebody@example.org"))


@pytest.mark.parametrize("language", Language)
def test_a_code_is_in_the_mail_and_not_in_its_subject(language: Language) -> None:
    words = _composer().words(Template.ENROLLMENT_CODE, language, happened=HAPPENED, code=CODE)

    # Subjects show on locked screens.
    assert "012" not in words.subject
    assert "\n\n012 345\n\n" in words.text
    assert "012 345" in words.html
    assert "Payroll & Söhne" in words.text
    assert "Payroll &amp; Söhne" in words.html
    assert max(len(line) for line in words.text.splitlines()) <= 72


@pytest.mark.parametrize("language", Language)
def test_a_code_is_written_at_the_start_of_a_text_message(language: Language) -> None:
    text = _composer().text_message(CODE, language)

    assert text.startswith("012345 ")
    assert "Payroll & Söhne" in text
    assert len(text) <= 160


@pytest.mark.parametrize("language", Language)
def test_a_call_says_each_digit_and_all_of_them_twice(language: Language) -> None:
    spoken = ElementTree.fromstring(_composer().speech(CODE, language))

    said = [part.text for part in spoken.iter("Say")]
    assert [text for text in said if text and text.isdigit()] == list("012345") * 2
    assert {part.get("language") for part in spoken.iter("Say")} == {VOICES[language]}
    assert any("Payroll & Söhne" in (text or "") for text in said)


def test_the_contract_and_the_domain_use_the_same_words() -> None:
    notices = [one for one in domain.Template if one not in CODES]

    assert [*contract.Template] == notices
    assert {*contract.CodeEnd} == {*domain.Reason}
    assert {*contract.NotificationReason} < {*domain.Reason}


def _composer() -> Composer:
    return Composer("Watchword <watchword@example.org>")


def _composed(to: str) -> Mail:
    message = replace(MESSAGE, happened=HAPPENED)
    now = datetime(2026, 5, 4, 2, tzinfo=UTC)
    content = Content(Contact(to, Language.DUTCH))
    return _composer().compose(message, content, to=to, now=now)


def _parsed(mail: Mail) -> EmailMessage:
    parsed = email.message_from_bytes(mail.content, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
