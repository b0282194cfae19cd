"""From how a message ended to the event that says so; never an address and never a text."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from contracts import notification as contract
from contracts.envelope import EventType, about_person
from libs.messaging.cloud_event import CloudEvent
from libs.telemetry import current_traceparent
from services.notification.domain.delivery import Ended
from services.notification.domain.message import Message, Status

_NOTICES: Mapping[Status, EventType[contract.Notification]] = {
    Status.SENT: contract.NOTIFICATION_SENT,
    Status.FAILED: contract.NOTIFICATION_FAILED,
    Status.SUPPRESSED: contract.NOTIFICATION_SUPPRESSED,
    Status.UNKNOWN: contract.NOTIFICATION_UNKNOWN,
}
_CODES: Mapping[Status, EventType[contract.CodeMessage]] = {
    Status.SENT: contract.CODE_SENT,
    Status.FAILED: contract.CODE_FAILED,
    Status.SUPPRESSED: contract.CODE_SUPPRESSED,
    Status.UNKNOWN: contract.CODE_UNKNOWN,
}


def ended(message: Message, end: Ended, now: datetime) -> CloudEvent:
    """Say how a message ended; it belongs to the trace that it ended in."""
    if message.code_id is None:
        event = _notice_ended(message, end, now)
    else:
        event = _code_ended(message, message.code_id, end, now)
    return replace(event, traceparent=current_traceparent() or message.traceparent)


def _notice_ended(message: Message, end: Ended, now: datetime) -> CloudEvent:
    data = contract.Notification(
        message_id=message.message_id,
        caused_by=message.caused_by,
        channel=contract.Channel.EMAIL,
        template=contract.Template(message.template),
        language=message.language,
        reason=None if end.reason is None else contract.NotificationReason(end.reason),
    )
    about, kind = message.subject_ref, _NOTICES[end.status]
    return about_person(kind, data, tenant=message.tenant, subject_ref=about, now=now)


def _code_ended(message: Message, code_id: UUID, end: Ended, now: datetime) -> CloudEvent:
    data = contract.CodeMessage(
        message_id=message.message_id,
        caused_by=message.caused_by,
        code_id=code_id,
        channel=message.channel,
        language=message.language,
        reason=None if end.reason is None else contract.CodeEnd(end.reason),
    )
    about, kind = message.subject_ref, _CODES[end.status]
    return about_person(kind, data, tenant=message.tenant, subject_ref=about, now=now)
