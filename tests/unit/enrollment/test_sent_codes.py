from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from secrets import randbelow
from uuid import uuid4

import pytest

from contracts.codes import CodeChannel
from services.enrollment.domain.sent_codes import (
    LIFETIME,
    NEXT_AFTER,
    TRIES,
    SentCode,
    Status,
    after_wrong_code,
    is_good,
    new_code,
    tries_of_next,
    wait_for_next,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CODE = SentCode(
    code_id=uuid4(),
    subject_ref=uuid4(),
    application_id=uuid4(),
    enrollment_id=None,
    channel=CodeChannel.EMAIL,
    to_digest=b"to",
    digest=b"code",
    tries_left=TRIES,
    sent=NOW,
    expires=NOW + LIFETIME,
)


@pytest.mark.parametrize(("number", "code"), [(0, "000000"), (7, "000007"), (999_999, "999999")])
def test_a_code_has_six_digits(number: int, code: str) -> None:
    assert new_code(lambda below: number if below == 10**6 else -1) == code


def test_each_first_digit_is_as_likely() -> None:
    counts = Counter(new_code(randbelow)[0] for _ in range(5000))

    assert len(counts) == 10
    assert max(counts.values()) < 2 * min(counts.values())


@pytest.mark.requirement("D2")
@pytest.mark.parametrize(
    ("changes", "later", "good"),
    [
        ({}, timedelta(0), True),
        ({}, LIFETIME - SECOND, True),
        ({}, LIFETIME, False),
        ({"tries_left": 1}, timedelta(0), True),
        ({"tries_left": 0}, timedelta(0), False),
        ({"status": Status.USED}, timedelta(0), False),
        ({"status": Status.REPLACED}, timedelta(0), False),
        ({"status": Status.EXHAUSTED}, timedelta(0), False),
    ],
)
def test_a_code_is_good_for_ten_minutes_five_tries_and_once(
    changes: dict[str, object], later: timedelta, good: bool
) -> None:
    code = replace(CODE, **changes)  # type: ignore[arg-type]

    assert is_good(code, NOW + later) is good


def test_the_fifth_wrong_code_is_the_end() -> None:
    code, seen = CODE, []
    for _ in range(6):
        code = after_wrong_code(code)
        seen.append((code.tries_left, code.status))

    assert seen == [
        *((left, Status.OPEN) for left in (4, 3, 2, 1)),
        *((0, Status.EXHAUSTED) for _ in range(2)),
    ]


@pytest.mark.standard("NIST SP 800-63B-4 section 3.1.3.1: a new code does not reset the count")
@pytest.mark.parametrize(
    ("earlier", "later", "tries"),
    [
        (None, timedelta(0), TRIES),
        (CODE, SECOND, TRIES),
        (replace(CODE, tries_left=2), SECOND, 2),
        (replace(CODE, tries_left=0, status=Status.EXHAUSTED), SECOND, 0),
        (replace(CODE, tries_left=0, status=Status.EXHAUSTED), LIFETIME, TRIES),
        (replace(CODE, tries_left=1, status=Status.USED), SECOND, TRIES),
    ],
)
def test_another_code_gives_no_tries_back(
    earlier: SentCode | None, later: timedelta, tries: int
) -> None:
    assert tries_of_next(earlier, NOW + later) == tries


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("ago", "wait"),
    [
        ((), None),
        ((NEXT_AFTER,), None),
        ((NEXT_AFTER - SECOND,), SECOND),
        ((10 * MINUTE,) * 4, None),
        (tuple(n * 10 * MINUTE for n in range(1, 6)), 10 * MINUTE),
        ((HOUR, *((10 * MINUTE,) * 4)), None),
        (tuple((n + 1) * HOUR for n in range(9)), None),
        (tuple((n + 1) * HOUR for n in range(10)), 14 * HOUR),
        ((DAY, *((n + 1) * HOUR for n in range(9))), None),
    ],
)
def test_half_a_minute_five_an_hour_ten_a_day(
    ago: tuple[timedelta, ...], wait: timedelta | None
) -> None:
    assert wait_for_next([NOW - one for one in ago], NOW) == wait
