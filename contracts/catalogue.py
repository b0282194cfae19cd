"""Every event type there is, for schemas, documents and tools."""

from typing import Any

from contracts import approvals, enrollment, notification, policy, recovery, verification
from contracts.envelope import EventType

EVENT_TYPES: tuple[EventType[Any], ...] = tuple(
    value
    for module in (policy, approvals, enrollment, verification, notification, recovery)
    for value in vars(module).values()
    if isinstance(value, EventType)
)
