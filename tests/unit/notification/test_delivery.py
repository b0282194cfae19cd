from datetime import UTC, datetime, timedelta

import pytest

from services.notification.domain.delivery import (
    NEWS_FOR,
    Delivery,
    Ended,
    Later,
    NextStep,
    after,
    is_too_old,
    try_again,
    wait_after,
)
from services.notification.domain.message import Reason, Status

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SENT = Ended(Status.SENT, None)
UNKNOWN = Ended(Status.UNKNOWN, Reason.NO_ANSWER)
REFUSED = Ended(Status.FAILED, Reason.REFUSED_BY_SERVER)
GAVE_UP = Ended(Status.FAILED, Reason.GAVE_UP)


@pytest.mark.parametrize(
    ("delivery", "age", "expected"),
    [
        (Delivery.TAKEN, 0 * SECOND, SENT),
        (Delivery.TAKEN, NEWS_FOR, SENT),
        (Delivery.NO_ANSWER, 0 * SECOND, UNKNOWN),
        (Delivery.NO_ANSWER, NEWS_FOR, UNKNOWN),
        (Delivery.REFUSED, 0 * SECOND, REFUSED),
        (Delivery.REFUSED, NEWS_FOR, REFUSED),
        (Delivery.NOT_TAKEN, 0 * SECOND, Later(2 * SECOND)),
        (Delivery.NOT_TAKEN, NEWS_FOR, GAVE_UP),
    ],
)
def test_only_what_was_surely_not_taken_is_tried_again(
    delivery: Delivery, age: timedelta, expected: NextStep
) -> None:
    assert after(delivery, tries=1, until=NOW - age + NEWS_FOR, now=NOW) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (-SECOND, False),
        (0 * SECOND, False),
        (NEWS_FOR - SECOND, False),
        (NEWS_FOR, True),
        (NEWS_FOR + SECOND, True),
    ],
)
def test_news_is_old_after_a_day(age: timedelta, expected: bool) -> None:
    assert is_too_old(NOW - age + NEWS_FOR, NOW) is expected


@pytest.mark.parametrize(
    ("tries", "seconds"),
    [(0, 2), (1, 2), (2, 4), (3, 8), (9, 512), (10, 600), (11, 600), (10_000, 600)],
)
def test_waits_double_up_to_ten_minutes(tries: int, seconds: int) -> None:
    assert wait_after(tries) == seconds * SECOND


@pytest.mark.parametrize(
    ("left", "expected"),
    [(3 * SECOND, Later(2 * SECOND)), (2 * SECOND, GAVE_UP), (SECOND, GAVE_UP)],
)
def test_gives_up_when_the_next_try_would_be_no_news(left: timedelta, expected: NextStep) -> None:
    assert try_again(tries=1, until=NOW + left, now=NOW) == expected
