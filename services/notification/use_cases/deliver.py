"""Take one message through one try: claim address and code, say so, send, record the outcome.

`sending` is committed before the mail server hears a word. So whatever dies afterwards, the message
is found as one that may have gone out, and is never sent by a second try.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg
import structlog

from contracts.topics import EVENTS
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.seal import SealBroken
from libs.web.internal_client import Refused, Unreachable
from services.notification import announcements
from services.notification.domain.delivery import (
    Delivery,
    Ended,
    NextStep,
    after,
    is_too_old,
    try_again,
)
from services.notification.domain.message import Content, Message, Reason, Status
from services.notification.gateways import Codes, Contacts
from services.notification.senders.outgoing import Outgoing, Parcel
from services.notification.store import messages

_LOG = structlog.get_logger("messages")
_NO_ADDRESS = Ended(Status.SUPPRESSED, Reason.NO_ADDRESS)
_WITHDRAWN = Ended(Status.SUPPRESSED, Reason.WITHDRAWN)
_GAVE_UP = Ended(Status.FAILED, Reason.GAVE_UP)
_NO_ANSWER = Ended(Status.UNKNOWN, Reason.NO_ANSWER)

# How long an outcome waits for a database that is away; `sending` lasts longer than that.
_RECORD_WAITS = (0.1, 0.4, 1, 2, 4, 8, 15)
_TO_RECORD = timedelta(seconds=90)
_DATABASE_AWAY: tuple[type[Exception], ...] = (*INFRASTRUCTURE_ERRORS, asyncpg.PostgresError)


@dataclass(frozen=True)
class Deliver:
    """Delivers messages that a worker took."""

    pool: Pool
    contacts: Contacts
    codes: Codes
    outgoing: Outgoing
    clock: Clock

    async def __call__(self, message: Message) -> None:
        """Do one try of a message."""
        if is_too_old(message.until, self.clock()):
            await self._record(message, Status.PENDING, _GAVE_UP)
            return
        try:
            content = await self._content(message)
        except (Unreachable, Refused, SealBroken) as error:
            _LOG.info("content not claimed", **_about(message), cause=type(error).__name__)
            await self._record(message, Status.PENDING, self._again(message))
            return
        if isinstance(content, Ended):
            await self._record(message, Status.PENDING, content)
            return
        parcel = self.outgoing.pack(message, content, now=self.clock())
        if isinstance(parcel, Reason):
            await self._record(message, Status.PENDING, Ended(Status.SUPPRESSED, parcel))
            await self._acknowledge(message)
            return
        await self._send(replace(message, language=content.contact.language), parcel)

    async def _content(self, message: Message) -> Content | Ended:
        contact = await self.contacts.claim(message)
        if contact is None:
            return _NO_ADDRESS
        if message.code_id is None:
            return Content(contact)
        code = await self.codes.claim(message, message.code_id)
        return Content(contact, code) if code is not None else _WITHDRAWN

    async def _acknowledge(self, message: Message) -> None:
        await self.contacts.acknowledge(message)
        if message.code_id is not None:
            await self.codes.acknowledge(message, message.code_id)

    async def nobody_knows(self, message: Message) -> None:
        """Close a message whose sender died after it may have sent it."""
        _LOG.warning("sender died", **_about(message))
        await self._record(message, Status.SENDING, _NO_ANSWER)

    async def _send(self, message: Message, parcel: Parcel) -> None:
        within, language = parcel.longest + _TO_RECORD, message.language
        async with tenant_transaction(self.pool, message.tenant) as tx:
            if not await messages.begin_sending(tx, message, language=language, within=within):
                return
        delivery = await parcel.send()
        if delivery is not Delivery.TAKEN:
            _LOG.info("message not taken", **_about(message), delivery=delivery.value)
        step = after(delivery, tries=message.tries, until=message.until, now=self.clock())
        await self._record_surely(message, Status.SENDING, step)
        if isinstance(step, Ended):
            # After the commit: what is tried again has to hear all of it again.
            await self._acknowledge(message)

    def _again(self, message: Message) -> NextStep:
        return try_again(tries=message.tries, until=message.until, now=self.clock())

    async def _record_surely(self, message: Message, status: Status, step: NextStep) -> None:
        for wait in _RECORD_WAITS:
            try:
                await self._record(message, status, step)
            except _DATABASE_AWAY as error:
                _LOG.warning("outcome waits", **_about(message), cause=type(error).__name__)
                await asyncio.sleep(wait)
            else:
                return
        await self._record(message, status, step)

    async def _record(self, message: Message, status: Status, step: NextStep) -> None:
        """Save what became of a message that stands at `status`, and announce an end."""
        async with tenant_transaction(self.pool, message.tenant) as tx:
            if not isinstance(step, Ended):
                await messages.put_back(tx, message, status=status, wait=step.wait)
                return
            now = self.clock()
            if await messages.end(tx, message, status=status, end=step, now=now):
                event = announcements.ended(message, step, now)
                await announce(tx, topic=EVENTS.name, event=event)


def _about(message: Message) -> dict[str, str | int]:
    return {"message_id": str(message.message_id), "tries": message.tries}
