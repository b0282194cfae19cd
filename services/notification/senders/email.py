"""Hands a mail to a mail server (RFC 5321), and knows at every moment whether it may be there.

The border is the first byte of the content. Before it the server cannot have the message; from it
on, only a reply of the server tells.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import structlog
from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from pydantic import SecretStr

from services.notification.domain.delivery import Delivery
from services.notification.senders.composing import Mail

_LOG = structlog.get_logger("smtp")
_START_INPUT = 354
_LINE_THAT_BEGINS_WITH_A_DOT = re.compile(rb"(?m)^\.")


@dataclass(frozen=True)
class MailServer:
    """Where the server is, how it is talked to, and for how long it is waited for."""

    host: str
    port: int
    tls: Literal["none", "starttls", "tls"]
    ca_file: Path | None
    user: str | None
    password: SecretStr | None
    own_name: str
    patience: timedelta
    verdict_limit: timedelta


@dataclass(frozen=True)
class EmailSender:
    """Sends by SMTP, a connection for each mail."""

    server: MailServer

    @property
    def longest(self) -> timedelta:
        """Return how long a try can take."""
        return self.server.patience + self.server.verdict_limit

    async def send(self, mail: Mail) -> Delivery:
        """Hand a mail over; no exception leaves here, as its text may quote the address."""
        smtp = self._client()
        try:
            refused = await self._up_to_the_content(smtp, mail)
            return refused or await self._content(smtp, mail.content)
        finally:
            smtp.close()

    def _client(self) -> SMTP:
        server = self.server
        return SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password.get_secret_value() if server.password else None,
            local_hostname=server.own_name,
            timeout=server.patience.total_seconds(),
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=_tls_context(server),
        )

    async def _up_to_the_content(self, smtp: SMTP, mail: Mail) -> Delivery | None:
        """Return why the content is not to be sent, or None where the server waits for it."""
        try:
            async with asyncio.timeout(self.server.patience.total_seconds()):
                await smtp.connect()
                await _envelope(smtp, mail)
                answer = await smtp.execute_command(b"DATA")
        except (SMTPSenderRefused, SMTPRecipientRefused) as refusal:
            return _refused(refusal.code)
        except SMTPResponseException as refusal:
            # Greeting, EHLO, STARTTLS or AUTH: about this server and us, not about this message.
            _LOG.warning("mail server does not talk to us", smtp_status=refusal.code)
            return Delivery.NOT_TAKEN
        except (SMTPException, OSError) as error:
            _LOG.warning("mail server cannot be used", cause=type(error).__name__)
            return Delivery.NOT_TAKEN
        except ValueError:
            # What cannot stand in a command will not tomorrow either.
            return Delivery.REFUSED
        return None if answer.code == _START_INPUT else _refused(answer.code)

    async def _content(self, smtp: SMTP, content: bytes) -> Delivery:
        protocol = smtp.protocol
        if protocol is None:
            return Delivery.NOT_TAKEN
        try:
            protocol.write(_framed(content))
        except SMTPServerDisconnected:
            return Delivery.NOT_TAKEN  # noticed before a byte was written
        limit = self.server.verdict_limit.total_seconds()
        try:
            answer = await protocol.read_response(timeout=limit)
        except (SMTPException, OSError) as error:
            _LOG.warning("mail server gave no answer", cause=type(error).__name__)
            return Delivery.NO_ANSWER
        with suppress(SMTPServerDisconnected):
            # A courtesy; whether it is answered changes nothing.
            protocol.write(b"QUIT\r\n")
        return _verdict(answer.code)


async def _envelope(smtp: SMTP, mail: Mail) -> None:
    await smtp.ehlo()
    if not mail.needs_utf8:
        await smtp.mail(mail.sender)
        await smtp.rcpt(mail.recipient)
        return
    if not smtp.supports_extension("smtputf8"):
        raise SMTPRecipientRefused(553, "no SMTPUTF8 (RFC 6531)", "")
    await smtp.mail(mail.sender, options=["SMTPUTF8"], encoding="utf-8")
    await smtp.rcpt(mail.recipient, encoding="utf-8")


def _framed(content: bytes) -> bytes:
    """Return the content as it is sent after DATA (RFC 5321 section 4.5.2)."""
    lines = _LINE_THAT_BEGINS_WITH_A_DOT.sub(b"..", content)
    return lines + (b".\r\n" if lines.endswith(b"\r\n") else b"\r\n.\r\n")


def _refused(status: int) -> Delivery:
    _LOG.info("mail server refused", smtp_status=status)
    return Delivery.REFUSED if 500 <= status <= 599 else Delivery.NOT_TAKEN


def _verdict(status: int) -> Delivery:
    if 200 <= status <= 299:
        return Delivery.TAKEN
    # RFC 5321 section 4.2.5: after a refusal of the content the message is still ours.
    if 400 <= status <= 599:
        return _refused(status)
    return Delivery.NO_ANSWER


def _tls_context(server: MailServer) -> ssl.SSLContext | None:
    if server.tls == "none":
        return None
    return ssl.create_default_context(cafile=server.ca_file)
