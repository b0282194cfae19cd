"""Request and response bodies."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.subjects import SubjectName
from services.recovery.domain.reset import ResetStatus

# A body that is refused must not be quoted: it may hold a recovery key.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class IssueRequest(BaseModel):
    """The one-use ticket from the confirmation of an enrollment."""

    model_config = _STRICT
    ticket: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=4096)]


class IssuedAnswer(BaseModel):
    """The recovery key; it is shown this once, and must be acknowledged with its generation."""

    recovery_key_id: UUID
    generation: int
    recovery_key: str


class AcknowledgeRequest(BaseModel):
    """Which generation of the key was shown to the person."""

    model_config = _STRICT
    generation: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class AcknowledgedAnswer(BaseModel):
    """The key is in force; the ticket gives no other one."""

    acknowledged: Literal[True]


class RecoverRequest(BaseModel):
    """Who wants back in, and the recovery key as typed: case, hyphens and spaces do not matter."""

    model_config = _STRICT
    subject: SubjectName
    recovery_key: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]


class RecoverAnswer(BaseModel):
    """`effective`: no old authenticator is accepted any more; `pending`: it will be so shortly."""

    reset_id: UUID
    status: Literal["effective", "pending"]


class ResetAnswer(BaseModel):
    """Where a reset stands."""

    reset_id: UUID
    status: ResetStatus
    requested_at: datetime
    completed_at: datetime | None
