from datetime import UTC, datetime, timedelta

import pytest

from services.verification.domain.clock import TOLERANCE
from services.verification.domain.promotion import (
    MARGIN,
    RECOVERY_CODES_WAIT,
    Fence,
    Spending,
    is_fenced_off,
    wait_behind,
)
from services.verification.domain.totp import WINDOW

FENCE = Fence(datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC), 1)


def totp(at: datetime, period: int, *, ahead: int = 0) -> Spending:
    return Spending("totp", int(at.timestamp()) // period + ahead, period, 0, pair=False)


def test_the_margin_covers_two_clocks_that_are_wrong_in_either_direction() -> None:
    assert MARGIN > 2 * TOLERANCE


@pytest.mark.parametrize("period", [15, 30, 60, 120])
@pytest.mark.parametrize("early", range(0, 300, 7))
def test_what_could_be_accepted_before_the_promotion_is_fenced_off(period: int, early: int) -> None:
    # By a node whose clock was wrong by as much as it may be, the last code of its window.
    before = FENCE.at + MARGIN - timedelta(seconds=early)

    for ahead in range(-WINDOW, WINDOW + 1):
        assert is_fenced_off(totp(before, period, ahead=ahead), FENCE, FENCE.at)


@pytest.mark.parametrize("period", [15, 30, 60, 120])
@pytest.mark.parametrize("late", range(0, 300, 7))
def test_whoever_waits_as_long_as_told_gets_in(period: int, late: int) -> None:
    now = FENCE.at + timedelta(seconds=late)
    refused = totp(now, period)
    if not is_fenced_off(refused, FENCE, now):
        return

    wait = wait_behind(refused, FENCE, now)

    assert wait is not None
    assert timedelta() <= wait <= MARGIN + 2 * timedelta(seconds=period)
    then = now + wait
    assert not is_fenced_off(totp(then, period), FENCE, then)
    assert is_fenced_off(totp(then - timedelta(seconds=1), period), FENCE, then)


def test_a_counter_needs_two_codes_until_it_was_accepted_once() -> None:
    for fences, pair, fenced_off in ((0, False, True), (0, True, False), (1, False, False)):
        spending = Spending("hotp", 7, None, fences, pair=pair)
        assert is_fenced_off(spending, FENCE, FENCE.at) is fenced_off
        assert wait_behind(spending, FENCE, FENCE.at) is None


def test_recovery_codes_wait_and_pins_do_not() -> None:
    code, pin = (Spending(factor, 0, None, 0, pair=False) for factor in ("recovery_code", "pin"))
    last = FENCE.at + RECOVERY_CODES_WAIT
    later = last + timedelta(microseconds=1)

    assert is_fenced_off(code, FENCE, FENCE.at) is True
    assert is_fenced_off(code, FENCE, last) is True
    assert is_fenced_off(code, FENCE, later) is False
    assert is_fenced_off(pin, FENCE, FENCE.at) is False
    assert wait_behind(code, FENCE, FENCE.at) == RECOVERY_CODES_WAIT == timedelta(seconds=90)
    assert wait_behind(code, FENCE, later) == timedelta()
    assert wait_behind(pin, FENCE, FENCE.at) is None


def test_a_time_based_code_without_a_period_never_gets_past_a_fence() -> None:
    a_millennium_ahead = Spending("totp", 2**35, None, 1, pair=False)

    assert is_fenced_off(a_millennium_ahead, FENCE, FENCE.at)
