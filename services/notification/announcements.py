"""From how a message ended to the event that says so; never an address and never a text."""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from contracts import notification as contract
from contracts.envelope import EventType, about_person
from libs.messaging.cloud_event import CloudEvent
from libs.telemetry import current_traceparent
from services.notification.domain.delivery import Ended
from services.notification.domain.message import Message, Status

_KINDS: Mapping[Status, EventType[contract.Notification]] = {
    Status.SENT: contract.NOTIFICATION_SENT,
    Status.FAILED: contract.NOTIFICATION_FAILED,
    Status.SUPPRESSED: contract.NOTIFICATION_SUPPRESSED,
    Status.UNKNOWN: contract.NOTIFICATION_UNKNOWN,
}


def ended(message: Message, end: Ended, now: datetime) -> CloudEvent:
    """Say how a message ended; it belongs to the trace that it ended in."""
    data = contract.Notification(
        message_id=message.message_id,
        caused_by=message.caused_by,
        channel=contract.Channel.EMAIL,
        template=contract.Template(message.template),
        language=message.language,
        reason=None if end.reason is None else contract.NotificationReason(end.reason),
    )
    event = about_person(
        _KINDS[end.status], data, tenant=message.tenant, subject_ref=message.subject_ref, now=now
    )
    return replace(event, traceparent=current_traceparent() or message.traceparent)
