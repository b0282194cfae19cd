"""How a request was judged."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True)
class Issued:
    """A recovery key, to be shown once."""

    recovery_key_id: UUID
    generation: int
    text: str = field(repr=False)


class IssueRefused(StrEnum):
    """Why no key was made."""

    ACKNOWLEDGED = "acknowledged"
    TICKET_OUTDATED = "ticket_outdated"


class AcknowledgeRefused(StrEnum):
    """Why an acknowledgement does not count."""

    UNKNOWN = "unknown"
    NEWER_KEY = "newer_key"
    USED = "used"


@dataclass(frozen=True)
class Recovered:
    """The key held and is spent; a reset is under way."""

    reset_id: UUID


class RecoveryRefused(StrEnum):
    """Why nothing was recovered; the client does not hear which."""

    WRONG_KEY = "wrong_key"
    TOO_MANY_TRIES = "too_many_tries"
