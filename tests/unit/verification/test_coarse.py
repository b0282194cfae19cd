from dataclasses import replace

import pytest

from services.verification.domain.coarse import (
    Limit,
    Limits,
    UnsafeLimit,
    limit_of,
    place_of,
    refuse_unsafe,
)

USUAL = Limit(100, 1000)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:DB8:1:2::ffff", "2001:db8:1:2::"),
        ("2001:db8:1:3:ffff:ffff:ffff:ffff", "2001:db8:1:3::"),
    ],
)
def test_a_source_has_one_form(address: str, place: str) -> None:
    assert place_of(address) == place


@pytest.mark.parametrize("text", ["", "203.0.113", "203.0.113.7/24", "example.org", "1", " ::1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        place_of(text)


def test_a_limit_of_the_callers_own_empties_in_its_time() -> None:
    limit = limit_of(20, 3600)

    assert limit.at_once == 20
    assert limit.per_second * 3600 == pytest.approx(20)


@pytest.mark.parametrize(
    ("guesses", "seconds", "a_day"),
    [
        (20, 3600, 480),
        # Rounded down: never more than the caller allows.
        (1, 7, 12_342),
        (2, 86_400, 2),
        (1, 86_400, 1),
        # But for one a day, without which nobody would ever get in again.
        (1, 86_401, 1),
        (1, 10 * 86_400, 1),
    ],
)
def test_a_limit_of_the_callers_own_is_in_whole_guesses_a_day(
    guesses: int, seconds: int, a_day: int
) -> None:
    assert limit_of(guesses, seconds) == Limit(guesses, a_day)


@pytest.mark.parametrize("name", ["tenant", "application", "source"])
@pytest.mark.parametrize("limit", [Limit(9, 100), Limit(100, 99)])
def test_limits_that_shut_everybody_out_are_refused(name: str, limit: Limit) -> None:
    limits = replace(Limits(USUAL, USUAL, USUAL), **{name: limit})

    with pytest.raises(UnsafeLimit, match=f"^the limit of a {name} needs 10 at once or more"):
        refuse_unsafe(limits)


@pytest.mark.parametrize("limit", [USUAL, Limit(10, 100), Limit(10, 10), Limit(100, 100)])
def test_limits_that_leave_a_day_of_ten_are_taken(limit: Limit) -> None:
    refuse_unsafe(Limits(limit, limit, limit))
