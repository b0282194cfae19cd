"""Request and response bodies."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.subjects import SubjectName
from contracts.vocabulary import Factor
from services.verification.domain.decision import DecisionKind, Reason

# A body that is refused must not be quoted: it may hold a code.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

# Six to ten ASCII digits, how many exactly is the authenticator's to say; or a recovery code.
Code = Annotated[
    str,
    StringConstraints(
        strict=True, pattern=r"^(?:[0-9]{6,10}|[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5})$"
    ),
]
NextCode = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6,8}$")]


class DecisionRequest(BaseModel):
    """Who wants to log in; the application is known by its key."""

    model_config = _STRICT
    subject: SubjectName


class DecisionAnswer(BaseModel):
    """What to do now; `factors` can be used for a challenge, or may be enrolled."""

    decision: DecisionKind
    reason: Reason
    factors: list[Factor]
    policy_version: int


class VerifyRequest(BaseModel):
    """A code, as the person typed it; `authenticator` narrows it to one of several."""

    model_config = _STRICT
    subject: SubjectName
    code: Code = Field(
        description="As it was typed: the digits of a one-time password or a PIN, or a recovery"
        " code in its one form, upper case with the hyphen.",
        examples=["492039", "7HJ2K-9QXW4"],
    )
    authenticator: UUID | None = None
    next_code: NextCode | None = Field(
        None,
        description="The code that the same HOTP token shows after `code`. With both of them its"
        " counter is found further ahead (100 codes instead of 10); nothing else is compared.",
    )


class VerifyAnswer(BaseModel):
    """The code was right, and is now spent."""

    outcome: Literal["accepted"]
    authenticator: UUID
    factor: Factor
    acr: str
    amr: list[str]
    event_id: UUID
    verified_at: datetime
