"""An authenticator from its confirmation to its end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.vocabulary import Factor

FIRST_EPOCH = 1


class Status(StrEnum):
    """`removing`: removed here and announced, but verification has not said that it knows."""

    ACTIVE = "active"
    REMOVING = "removing"
    REMOVED = "removed"


@dataclass(frozen=True)
class Authenticator:
    """One enrolled thing; `epoch` grows when it is removed, `reset_id` is the reset that did it."""

    authenticator_id: UUID
    subject_ref: UUID
    factor: Factor
    epoch: int
    status: Status
    enrolled_at: datetime
    reset_id: UUID | None
