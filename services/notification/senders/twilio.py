"""Text messages and calls by Twilio's REST API (2010-04-01), or whatever speaks it.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource
"""

from dataclasses import dataclass
from datetime import timedelta

import httpx2
import structlog
from pydantic import SecretStr

from services.notification.domain.delivery import Delivery

_LOG = structlog.get_logger("twilio")
_CREATED = 201
_TOO_MANY = 429


@dataclass(frozen=True)
class Account:
    """Where the provider is, and in whose name messages go out."""

    url: str
    sid: str
    token: SecretStr
    sender: str
    patience: timedelta


@dataclass(frozen=True)
class TwilioSender:
    """Hands messages to the provider, each once: what it may have is not given to it again."""

    account: Account
    http: httpx2.AsyncClient

    @property
    def longest(self) -> timedelta:
        """Return how long a try can take."""
        return self.account.patience

    async def write(self, number: str, text: str) -> Delivery:
        """Send a text message."""
        return await self._create("Messages", {"To": number, "Body": text})

    async def call(self, number: str, twiml: str) -> Delivery:
        """Call somebody and say what the TwiML says."""
        return await self._create("Calls", {"To": number, "Twiml": twiml})

    async def _create(self, kind: str, form: dict[str, str]) -> Delivery:
        account = self.account
        try:
            answer = await self.http.post(
                f"{account.url}/2010-04-01/Accounts/{account.sid}/{kind}.json",
                data={"From": account.sender, **form},
                auth=(account.sid, account.token.get_secret_value()),
                timeout=account.patience.total_seconds(),
                follow_redirects=False,
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            _LOG.warning("provider cannot be reached", cause=type(error).__name__)
            return Delivery.NOT_TAKEN
        except httpx2.HTTPError as error:
            # It had the request, or a part of it.
            _LOG.warning("provider gave no answer", cause=type(error).__name__)
            return Delivery.NO_ANSWER
        return _verdict(answer.status_code)


def _verdict(status: int) -> Delivery:
    if status == _CREATED:
        return Delivery.TAKEN
    _LOG.warning("provider took nothing", http_status=status)
    if status == _TOO_MANY:
        return Delivery.NOT_TAKEN
    return Delivery.REFUSED if 400 <= status < 500 else Delivery.NO_ANSWER
