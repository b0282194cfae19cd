"""A message: what asked for it, where it stands, and why it ended as it did."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.vocabulary import Language


class Template(StrEnum):
    """What a message says."""

    AUTHENTICATOR_ADDED = "authenticator_added"
    AUTHENTICATORS_RESET = "authenticators_reset"


class Status(StrEnum):
    """Where a message stands; `sending` means that a mail server may have it already."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a message was not sent, or why nobody knows."""

    NO_ADDRESS = "no_address"
    TOO_OLD = "too_old"
    REFUSED_BY_SERVER = "refused_by_server"
    GAVE_UP = "gave_up"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True)
class Request:
    """What asks for a message; `caused_by` is the event, and has one message at most."""

    tenant: UUID
    caused_by: UUID
    subject_ref: UUID
    template: Template
    happened: datetime
    traceparent: str | None


@dataclass(frozen=True)
class Message:
    """A message that was taken to be sent; `tries` counts how often, and fences earlier takers."""

    tenant: UUID
    message_id: UUID
    caused_by: UUID
    subject_ref: UUID
    template: Template
    language: Language | None
    happened: datetime
    traceparent: str | None
    tries: int


@dataclass(frozen=True)
class Contact:
    """Where a person is reached; never stored, and not shown by its repr."""

    email: str | None = field(repr=False)
    language: Language
