"""What notification announces; never an address and never a text."""

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from contracts.codes import CodeChannel
from contracts.envelope import PUBLISHED, EventType
from contracts.topics import EVENTS
from contracts.vocabulary import Language, Service


class Channel(StrEnum):
    """The way a message went."""

    EMAIL = "email"


class Template(StrEnum):
    """What the message says."""

    AUTHENTICATOR_ADDED = "authenticator_added"
    AUTHENTICATORS_RESET = "authenticators_reset"


class NotificationReason(StrEnum):
    """Why a message was not sent, or why nobody knows."""

    NO_ADDRESS = "no_address"
    TOO_OLD = "too_old"
    REFUSED_BY_SERVER = "refused_by_server"
    GAVE_UP = "gave_up"
    NO_ANSWER = "no_answer"


class Notification(BaseModel):
    """One message to one address; `caused_by` is the event that asked for it."""

    model_config = PUBLISHED
    message_id: UUID
    caused_by: UUID
    channel: Channel
    template: Template
    language: Language | None
    reason: NotificationReason | None


class CodeEnd(StrEnum):
    """Why a code was not sent, or why nobody knows."""

    NO_ADDRESS = "no_address"
    NO_SENDER = "no_sender"
    TOO_OLD = "too_old"
    WITHDRAWN = "withdrawn"
    REFUSED_BY_SERVER = "refused_by_server"
    GAVE_UP = "gave_up"
    NO_ANSWER = "no_answer"


class CodeMessage(BaseModel):
    """One message with a code; `caused_by` is the event that asked for it.

    `withdrawn`: by then a newer code was sent, or the code was used, or the person was deleted.
    """

    model_config = PUBLISHED
    message_id: UUID
    caused_by: UUID
    code_id: UUID
    channel: CodeChannel
    language: Language | None
    reason: CodeEnd | None


CODE_SENT = EventType(
    "mfa.code_sent",
    1,
    Service.NOTIFICATION,
    EVENTS,
    CodeMessage,
    "A mail server or a provider took a message with a code.",
)
CODE_FAILED = EventType(
    "mfa.code_failed",
    1,
    Service.NOTIFICATION,
    EVENTS,
    CodeMessage,
    "A message with a code was not sent and will not be.",
)
CODE_SUPPRESSED = EventType(
    "mfa.code_suppressed",
    1,
    Service.NOTIFICATION,
    EVENTS,
    CodeMessage,
    "A message with a code was left out on purpose.",
)
CODE_UNKNOWN = EventType(
    "mfa.code_unknown",
    1,
    Service.NOTIFICATION,
    EVENTS,
    CodeMessage,
    "Nobody knows whether a message with a code was taken; it is not repeated.",
)
NOTIFICATION_SENT = EventType(
    "mfa.notification_sent",
    1,
    Service.NOTIFICATION,
    EVENTS,
    Notification,
    "The mail server took the message.",
)
NOTIFICATION_FAILED = EventType(
    "mfa.notification_failed",
    1,
    Service.NOTIFICATION,
    EVENTS,
    Notification,
    "The message was not sent and will not be.",
)
NOTIFICATION_SUPPRESSED = EventType(
    "mfa.notification_suppressed",
    1,
    Service.NOTIFICATION,
    EVENTS,
    Notification,
    "The message was left out on purpose.",
)
NOTIFICATION_UNKNOWN = EventType(
    "mfa.notification_unknown",
    1,
    Service.NOTIFICATION,
    EVENTS,
    Notification,
    "Nobody knows whether the message was taken; it is not repeated.",
)
