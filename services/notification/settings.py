"""What notification is told from outside; environment variables WATCHWORD_NOTIFICATION_..."""

from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from libs.service.settings import ServiceSettings


def _one_mailbox(text: str) -> str:
    address = parseaddr(text)[1]
    try:
        validate_email(address, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(f"not one mailbox: {error}") from None
    if not text.isprintable():
        raise ValueError("printable characters only")
    return text


class Settings(ServiceSettings):
    """Beside what every service has.

    `smtp_patience` is for everything before the content of a message; when it is over, the message
    is tried again. `smtp_verdict_limit` is for the answer to the content: after that nobody knows,
    so it is long (RFC 5321 section 4.5.3.2.6 asks for ten minutes). `messages_kept` is for messages
    that have ended; for less than a day, an event could ask for a second one while it is news.
    """

    model_config = SettingsConfigDict(env_prefix="WATCHWORD_NOTIFICATION_", frozen=True)

    policy_url: str = Field(pattern=r"^https?://[^/]+$")
    enrollment_url: str = Field(pattern=r"^https?://[^/]+$")
    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(ge=1, le=65_535)
    smtp_tls: Literal["none", "starttls", "tls"]
    smtp_ca_file: Path | None = None
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_patience: timedelta = timedelta(seconds=60)
    smtp_verdict_limit: timedelta = timedelta(minutes=10)
    mail_from: Annotated[str, AfterValidator(_one_mailbox)]
    twilio_url: str = Field(default="https://api.twilio.com", pattern=r"^https?://[^/]+$")
    twilio_account_sid: str | None = Field(default=None, pattern=r"^AC[0-9a-f]{32}$")
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = Field(default=None, pattern=r"^\+[1-9][0-9]{6,14}$")
    twilio_patience: timedelta = timedelta(seconds=15)
    messages_at_once: int = Field(default=8, ge=1, le=100)
    messages_kept: timedelta = Field(default=timedelta(days=30), ge=timedelta(days=1))

    @model_validator(mode="after")
    def _guard_the_password(self) -> Self:
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("smtp_user and smtp_password come together")
        if self.smtp_password is not None and self.smtp_tls == "none":
            raise ValueError("a password is only sent over TLS")
        return self

    @model_validator(mode="after")
    def _all_of_the_account(self) -> Self:
        local = urlsplit(self.twilio_url).hostname in ("127.0.0.1", "localhost")
        if not local and not self.twilio_url.startswith("https://"):
            raise ValueError("twilio_url: a token, numbers and codes are sent over TLS only")
        given = (self.twilio_account_sid, self.twilio_auth_token, self.twilio_from)
        if any(one is not None for one in given) and None in given:
            raise ValueError("twilio_account_sid, twilio_auth_token and twilio_from come together")
        return self
