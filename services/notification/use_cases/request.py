"""Note that a message is wanted, or that it comes too late."""

from dataclasses import dataclass

from contracts.topics import EVENTS
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection
from services.notification import announcements
from services.notification.domain.delivery import NEWS_FOR, Ended, is_too_old
from services.notification.domain.message import Message, Reason, Request, Status
from services.notification.store import messages

_TOO_OLD = Ended(Status.SUPPRESSED, Reason.TOO_OLD)


@dataclass(frozen=True)
class RequestMessage:
    """Takes requests, each once, in the transaction of the event that brings them."""

    clock: Clock

    async def __call__(self, tx: Connection, request: Request) -> None:
        """Store the message; what is no news any more is closed at once and never sent."""
        now = self.clock()
        message = Message(
            tenant=request.tenant,
            message_id=new_id(),
            caused_by=request.caused_by,
            subject_ref=request.subject_ref,
            template=request.template,
            language=None,
            # A publisher whose clock is ahead must not keep a message alive for longer.
            happened=min(request.happened, now),
            until=min(request.until, now + NEWS_FOR),
            traceparent=request.traceparent,
            tries=0,
            channel=request.channel,
            code_id=request.code_id,
        )
        if not await messages.want(tx, message) or not is_too_old(message.until, now):
            return
        await messages.end(tx, message, status=Status.PENDING, end=_TOO_OLD, now=now)
        await announce(tx, topic=EVENTS.name, event=announcements.ended(message, _TOO_OLD, now))
