from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.topics import REPLAYABLE_FOR
from services.policy.domain.claim import claim_refusal, forgettable, new_claim
from services.policy.domain.refusals import Refusal

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_DAY, _MOMENT = timedelta(days=1), timedelta(microseconds=1)
_EVENT, _SUBJECT, _MINE, _ANOTHER = (UUID(int=number) for number in range(1, 5))


@pytest.mark.parametrize(
    ("attempt", "age", "expected"),
    [
        (_MINE, timedelta(0), None),
        (_MINE, _DAY - _MOMENT, None),
        (_MINE, _DAY, Refusal.GONE),
        (_ANOTHER, timedelta(0), Refusal.CLAIMED_BY_ANOTHER),
        (_ANOTHER, _DAY, Refusal.CLAIMED_BY_ANOTHER),
    ],
)
def test_the_first_attempt_owns_a_claim_for_a_day(
    attempt: UUID, age: timedelta, expected: Refusal | None
) -> None:
    claim = new_claim(_EVENT, _SUBJECT, attempt=_MINE, now=_NOW)

    assert claim_refusal(claim, attempt, now=_NOW + age) is expected


def test_a_claim_is_forgotten_when_its_event_cannot_come_again() -> None:
    claim = new_claim(_EVENT, _SUBJECT, attempt=_MINE, now=_NOW)

    assert claim.expires >= forgettable(_NOW + _DAY + REPLAYABLE_FOR)
    assert claim.expires < forgettable(_NOW + _DAY + REPLAYABLE_FOR + _MOMENT)
