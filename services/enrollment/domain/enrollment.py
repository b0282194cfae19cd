"""An enrollment from its start to its end: nothing counts before a code confirmed it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.vocabulary import Factor
from services.enrollment.domain.parameters import Parameters

LIFETIME = timedelta(minutes=10)
TRIES = 5
MOST_AUTHENTICATORS = 10
# What somebody began before is over with one more.
MOST_PENDING = 5
# Verification looks at all of these for every guess.
MOST_CODE_AUTHENTICATORS = 5


class Status(StrEnum):
    """Where an enrollment stands; all but the first are for good."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Enrollment:
    """One attempt to enroll; `authenticator_id` is what it becomes, and means nothing before.

    `vouched`: when it began, a factor was shown (`vouched_by`), or somebody acted who may help
    people.
    """

    enrollment_id: UUID
    authenticator_id: UUID
    subject_ref: UUID
    application_id: UUID
    factor: Factor
    parameters: Parameters
    status: Status
    tries_left: int
    expires: datetime
    confirmed_at: datetime | None
    vouched: bool = False
    vouched_by: UUID | None = None
    # The token in stock that it is about, if there is one.
    token_id: UUID | None = None


def status_at(enrollment: Enrollment, now: datetime) -> Status:
    """Return the status, which time changes without anybody's doing."""
    if enrollment.status is Status.PENDING and now >= enrollment.expires:
        return Status.EXPIRED
    return enrollment.status


def confirmed(enrollment: Enrollment, now: datetime) -> Enrollment:
    """Return the enrollment after the right code."""
    return replace(enrollment, status=Status.CONFIRMED, confirmed_at=now)


def after_wrong_code(enrollment: Enrollment) -> Enrollment:
    """Return the enrollment with one try less; without any left, a pending one is over."""
    left = max(0, enrollment.tries_left - 1)
    over = left == 0 and enrollment.status is Status.PENDING
    status = Status.EXHAUSTED if over else enrollment.status
    return replace(enrollment, tries_left=left, status=status)


def may_repeat(enrollment: Enrollment, now: datetime) -> bool:
    """Tell whether a confirmation whose answer was lost may be asked for again."""
    in_time = now < enrollment.expires and enrollment.tries_left > 0
    return in_time and enrollment.status is Status.CONFIRMED
