import pyotp
import pytest

from contracts.vocabulary import Algorithm
from services.enrollment.domain.hotp import Hotp, matching_counter

# RFC 4226, appendix D.
SECRET = b"12345678901234567890"
CODES = (
    *("755224", "287082", "359152", "969429", "338314"),
    *("254676", "287922", "162583", "399871", "520489"),
)


def token(counter: int = 0, digits: int = 6) -> Hotp:
    return Hotp(Algorithm.SHA1, digits, counter)


@pytest.mark.standard("RFC 4226 appendix D")
@pytest.mark.parametrize(("counter", "code"), list(enumerate(CODES)))
def test_the_codes_of_the_standard_are_found(counter: int, code: str) -> None:
    assert matching_counter(SECRET, code, None, parameters=token()) == counter


@pytest.mark.parametrize(
    ("next_counter", "counter", "found"),
    [(5, 4, False), (5, 5, True), (0, 10, True), (0, 11, False)],
)
def test_one_code_lies_ten_ahead_at_most(next_counter: int, counter: int, found: bool) -> None:
    codes = (*CODES, "403154", "481090")

    match = matching_counter(SECRET, codes[counter], None, parameters=token(next_counter))

    assert match == (counter if found else None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0, 1), 1),
        ((8, 9), 9),
        ((1, 0), None),
        ((0, 2), None),
        ((0, 0), None),
    ],
)
def test_two_codes_have_to_follow_one_another(given: tuple[int, int], expected: int | None) -> None:
    code, following = (CODES[counter] for counter in given)

    assert matching_counter(SECRET, code, following, parameters=token()) == expected


def test_two_codes_in_a_row_may_lie_a_hundred_ahead() -> None:
    hotp = pyotp.HOTP("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    near = [hotp.at(100), hotp.at(101)]
    far = [hotp.at(101), hotp.at(102)]

    assert matching_counter(SECRET, *near, parameters=token()) == 101
    assert matching_counter(SECRET, *far, parameters=token()) is None


@pytest.mark.parametrize("code", ["75522", "7552244", "75522\u0664", "", "75522a"])
def test_a_code_has_one_form(code: str) -> None:
    assert matching_counter(SECRET, code, None, parameters=token()) is None
    assert matching_counter(SECRET, CODES[0], code, parameters=token()) is None
