"""An authenticator from its confirmation to its end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.credentials import WITH_CODES
from contracts.vocabulary import Factor
from services.enrollment.domain.enrollment import (
    MOST_AUTHENTICATORS,
    MOST_CODE_AUTHENTICATORS,
    Enrollment,
)

FIRST_EPOCH = 1
# A code is sent to where the person is, each time.
BY_PHONE = frozenset({Factor.SMS, Factor.VOICE})
# A new one takes the place of the one before: nobody keeps two PINs apart, or two cards of codes.
ONLY_ONE = frozenset({Factor.PIN, Factor.RECOVERY_CODE})


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


def has_room(active: Iterable[Factor], factor: Factor) -> bool:
    """Tell whether somebody who has these may have one more."""
    others = [one for one in active if one not in ONLY_ONE or one is not factor]
    with_codes = [one for one in others if one in WITH_CODES]
    if factor in WITH_CODES and len(with_codes) >= MOST_CODE_AUTHENTICATORS:
        return False
    return len(others) < MOST_AUTHENTICATORS


def is_last(active: Iterable[Authenticator], removed: Authenticator) -> bool:
    """Tell whether nothing that a login can be proved by is left without this one."""
    left = [one for one in active if one.authenticator_id != removed.authenticator_id]
    return not left or (
        removed.factor in WITH_CODES and not any(one.factor in WITH_CODES for one in left)
    )


def is_overtaken(enrollment: Enrollment, active: Sequence[Authenticator]) -> bool:
    """Tell whether what opened an enrollment does not count any more.

    The person has a factor by now that nobody showed: otherwise whoever knows the password begins
    before the person does, and confirms after. Or what was shown was removed: it may be stolen.
    """
    if enrollment.vouched_by is not None:
        return all(one.authenticator_id != enrollment.vouched_by for one in active)
    return not enrollment.vouched and any(one.factor in WITH_CODES for one in active)
