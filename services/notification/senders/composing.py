"""From a message to what is handed over: a mail, a text message, or what a call says."""

import textwrap
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from contracts.vocabulary import Language
from services.notification.domain.message import Code, Content, Message, Template
from services.notification.domain.wording import in_groups, moment_in

_TEMPLATES = Path(__file__).parents[1] / "templates"
_LAYOUT = "layout.html"


@dataclass(frozen=True)
class Mail:
    """A mail and its envelope; nothing of it but its size may be shown."""

    sender: str
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)
    needs_utf8: bool


@dataclass(frozen=True)
class Words:
    """What a message says."""

    subject: str
    text: str
    html: str


class Composer:
    """Makes mails in the name of one mailbox."""

    def __init__(self, mail_from: str) -> None:
        self._from = mail_from
        self._sender = parseaddr(mail_from)[1]
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=select_autoescape(["html", "xml"]),
            undefined=StrictUndefined,
        )

    @property
    def domain(self) -> str:
        """Return the domain in whose name mails are sent."""
        return self._sender.rpartition("@")[2]

    def compose(self, message: Message, content: Content, *, to: str, now: datetime) -> Mail:
        """Return the mail; the same message has the same Message-ID at every try."""
        language = content.contact.language
        words = self.words(message.template, language, happened=message.happened, code=content.code)
        needs_utf8 = not to.isascii()
        mail = EmailMessage(policy=SMTPUTF8 if needs_utf8 else SMTP.clone(cte_type="7bit"))
        mail["From"] = self._from
        mail["To"] = to
        mail["Subject"] = words.subject
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<{message.message_id}@{self.domain}>"
        # So that no robot answers (RFC 3834 section 5).
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(words.text, cte="quoted-printable")
        mail.add_alternative(words.html, subtype="html", cte="quoted-printable")
        mail["Content-Language"] = language.value
        return Mail(self._sender, to, mail.as_bytes(), needs_utf8)

    def text_message(self, code: Code, language: Language) -> str:
        """Return what a text message says: short, so that it is one."""
        source = self._templates.get_template(f"number_code.{language}.txt")
        return source.render(code=code.code, application=code.application).strip()

    def speech(self, code: Code, language: Language) -> str:
        """Return what a call says, digit by digit and twice, as TwiML."""
        source = self._templates.get_template(f"number_code.{language}.xml")
        return source.render(digits=code.code, application=code.application)

    def words(
        self,
        template: Template,
        language: Language,
        *,
        happened: datetime,
        code: Code | None = None,
    ) -> Words:
        """Return what a mail says: subject, paragraphs as text, and the same as HTML."""
        source = self._templates.get_template(f"{template}.{language}.txt")
        told = {"code": in_groups(code.code), "application": code.application} if code else {}
        text = source.render(when=moment_in(language, happened), **told)
        subject, _, body = text.partition("\n\n")
        paragraphs = [" ".join(part.split()) for part in body.strip().split("\n\n")]
        html = self._templates.get_template(_LAYOUT).render(
            language=language.value, subject=subject.strip(), paragraphs=paragraphs
        )
        filled = [textwrap.fill(paragraph, width=72) for paragraph in paragraphs]
        return Words(subject.strip(), "\n\n".join(filled) + "\n", html)
