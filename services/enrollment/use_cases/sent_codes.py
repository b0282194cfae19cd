"""Send codes to people who enroll: made and announced here, fetched and sent by notification."""

import hmac
import json
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.codes import CodeChannel
from contracts.topics import EVENTS
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection
from services.enrollment.announcements import code_requested
from services.enrollment.domain.refusals import TooSoon
from services.enrollment.domain.sent_codes import (
    LIFETIME,
    LONGEST_LIMIT,
    NEXT_AFTER,
    SentCode,
    Status,
    is_good,
    new_code,
    tries_of_next,
    wait_for_next,
)
from services.enrollment.store.sent_codes import add_code, calls_for, save_code, sends_to
from services.enrollment.use_cases.seals import Sealing


@dataclass(frozen=True)
class Recipient:
    """Who gets a code, where, and for what; by e-mail it goes to the login address."""

    tenant: UUID
    subject_ref: UUID
    application_id: UUID
    application: str
    channel: CodeChannel
    enrollment_id: UUID | None = None
    number: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Drafted:
    """A code that is ready to be stored."""

    tenant: UUID
    code: SentCode
    sealed: bytes = field(repr=False)


@dataclass(frozen=True)
class Sent:
    """A code is on its way; another one may be asked for after a while."""

    expires: datetime
    next_after: datetime


@dataclass(frozen=True)
class SentCodes:
    """Makes codes, within the limits on how many are sent, and judges them."""

    sealing: Sealing
    clock: Clock

    async def draft(self, to: Recipient) -> Drafted:
        """Make a code; nothing is stored, because keys may have to be fetched."""
        code, code_id, now = new_code(secrets.randbelow), new_id(), self.clock()
        where = to.number or str(to.subject_ref)
        made = SentCode(
            code_id=code_id,
            subject_ref=to.subject_ref,
            application_id=to.application_id,
            enrollment_id=to.enrollment_id,
            channel=to.channel,
            to_digest=await self.sealing.digest(to.tenant, "recipient", where),
            digest=await self.digest(to.tenant, to.subject_ref, code),
            tries_left=0,
            sent=now,
            expires=now + LIFETIME,
        )
        message = {"code": code, "application": to.application, "number": to.number}
        sealed = await self.sealing.seal_message(
            to.tenant, to.subject_ref, code_id, json.dumps(message)
        )
        return Drafted(to.tenant, made, sealed)

    async def too_soon(
        self, tx: Connection, drafted: Drafted, *, earlier: SentCode | None
    ) -> TooSoon | None:
        """Return why nothing can be sent there now; until this commits, nobody else sends there."""
        if earlier is not None and tries_of_next(earlier, drafted.code.sent) == 0:
            # Nobody could use it.
            return TooSoon(earlier.expires - drafted.code.sent)
        made, since = drafted.code, drafted.code.sent - LONGEST_LIMIT
        by_phone = made.channel is not CodeChannel.EMAIL
        asked = await calls_for(tx, made.subject_ref, since=since) if by_phone else []
        sends = await sends_to(tx, made.to_digest, since=since)
        wait = wait_for_next(sends, made.sent, asked=asked)
        return TooSoon(wait) if wait is not None else None

    async def send(self, tx: Connection, drafted: Drafted, *, earlier: SentCode | None) -> Sent:
        """Store and announce a code of a locked subject, in the place of an earlier one.

        Ask first whether it is too soon.
        """
        made, now = drafted.code, drafted.code.sent
        if earlier is not None and earlier.status is Status.OPEN:
            await save_code(tx, replace(earlier, status=Status.REPLACED))
        ready = replace(made, tries_left=tries_of_next(earlier, now))
        await add_code(tx, drafted.tenant, ready, sealed=drafted.sealed)
        event = code_requested(drafted.tenant, ready, now=now)
        await announce(tx, topic=EVENTS.name, event=event)
        return Sent(ready.expires, now + NEXT_AFTER)

    async def digest(self, tenant: UUID, subject_ref: UUID, code: str) -> bytes:
        """Return what a code is recognised by; ask before a transaction."""
        return await self.sealing.digest(tenant, "code", f"{subject_ref} {code}")


def holds(sent: SentCode, digest: bytes, *, now: datetime) -> bool:
    """Tell whether this is the code that was sent, and still good."""
    return is_good(sent, now) and hmac.compare_digest(sent.digest, digest)
