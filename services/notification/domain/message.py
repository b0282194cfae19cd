"""A message: what asked for it, where it stands, and why it ended as it did."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.codes import CodeChannel
from contracts.vocabulary import Language


class Template(StrEnum):
    """What a message says."""

    AUTHENTICATOR_ADDED = "authenticator_added"
    AUTHENTICATORS_RESET = "authenticators_reset"
    ENROLLMENT_CODE = "enrollment_code"
    NUMBER_CODE = "number_code"


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
    WITHDRAWN = "withdrawn"
    NO_SENDER = "no_sender"


@dataclass(frozen=True)
class Request:
    """What asks for a message; `caused_by` is the event, and has one message at most.

    It is no news any more at `until`. A code is claimed by its `code_id`.
    """

    tenant: UUID
    caused_by: UUID
    subject_ref: UUID
    template: Template
    happened: datetime
    until: datetime
    traceparent: str | None
    channel: CodeChannel = CodeChannel.EMAIL
    code_id: UUID | None = None


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
    until: datetime
    traceparent: str | None
    tries: int
    channel: CodeChannel = CodeChannel.EMAIL
    code_id: UUID | None = None


@dataclass(frozen=True)
class Contact:
    """Where a person is reached; never stored, and not shown by its repr."""

    email: str | None = field(repr=False)
    language: Language


@dataclass(frozen=True)
class Code:
    """A code that is to be sent, for which application, and to which number, if to one."""

    code: str = field(repr=False)
    application: str
    number: str | None = field(repr=False)


@dataclass(frozen=True)
class Content:
    """What a message is made of, fetched for one try; a notice has no code."""

    contact: Contact
    code: Code | None = None
