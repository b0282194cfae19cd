"""Which event leads to what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from contracts.codes import CodePurpose
from contracts.enrollment import CODE_REQUESTED, ENROLLED
from contracts.envelope import data_of, subject_ref_of
from contracts.recovery import RESET_COMPLETED
from contracts.topics import EVENTS
from contracts.vocabulary import Service
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.consumer import Handler
from libs.postgres.pool import Connection
from services.notification.domain.delivery import NEWS_FOR
from services.notification.domain.message import Request, Template
from services.notification.use_cases.request import RequestMessage

GROUPS = {Service.NOTIFICATION.value: (EVENTS.name,)}


@dataclass(frozen=True)
class Events:
    """Parses the contract and calls the use case; `wake` tells the worker to look."""

    request: RequestMessage
    wake: Callable[[], None]

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handler of each event type; all others are skipped."""
        return {
            ENROLLED.name: self.enrolled,
            RESET_COMPLETED.name: self.reset_completed,
            CODE_REQUESTED.name: self.code_requested,
        }

    async def enrolled(self, tx: Connection, event: CloudEvent) -> None:
        data_of(ENROLLED, event)
        await self._want(tx, _notice(event, Template.AUTHENTICATOR_ADDED))

    async def reset_completed(self, tx: Connection, event: CloudEvent) -> None:
        data_of(RESET_COMPLETED, event)
        await self._want(tx, _notice(event, Template.AUTHENTICATORS_RESET))

    async def code_requested(self, tx: Connection, event: CloudEvent) -> None:
        asked = data_of(CODE_REQUESTED, event)
        opens = asked.purpose is CodePurpose.OPEN
        notice = _notice(event, Template.ENROLLMENT_CODE if opens else Template.NUMBER_CODE)
        request = replace(notice, until=asked.expires, channel=asked.channel, code_id=asked.code_id)
        await self._want(tx, request)

    async def _want(self, tx: Connection, request: Request) -> None:
        await self.request(tx, request)
        self.wake()


def _notice(event: CloudEvent, template: Template) -> Request:
    return Request(
        tenant=event.tenant,
        caused_by=event.id,
        subject_ref=subject_ref_of(event),
        template=template,
        happened=event.time,
        until=event.time + NEWS_FOR,
        traceparent=event.traceparent,
    )
