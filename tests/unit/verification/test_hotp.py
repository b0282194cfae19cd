import hmac
from base64 import b32encode
from unittest.mock import Mock

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.domain.hotp import (
    LOOK_AHEAD,
    RESYNCHRONISATION,
    matching_counter,
    resynchronised_counter,
)
from services.verification.domain.otp import OtpParameters, code_at

KEY = b"12345678901234567890"
SIX = OtpParameters("SHA1", 6)
# RFC 4226 appendix D.
VECTORS = ["755224", "287082", "359152", "969429", "338314"]
VECTORS += ["254676", "287922", "162583", "399871", "520489"]


@pytest.mark.standard("RFC 4226 appendix D")
def test_gives_the_codes_of_the_standard() -> None:
    assert [code_at(KEY, counter, SIX) for counter in range(10)] == VECTORS


@pytest.mark.standard("RFC 4226 7.4")
@pytest.mark.parametrize(
    ("ahead", "found"), [(-1, False), (0, False), (1, True), (11, True), (12, False)]
)
def test_looks_ten_codes_ahead_of_the_next_one(ahead: int, found: bool) -> None:
    code = code_at(KEY, 40 + ahead, SIX)

    assert matching_counter(KEY, code, parameters=SIX, last_used=40) == (
        40 + ahead if found else None
    )
    assert LOOK_AHEAD == 10


@pytest.mark.standard("RFC 4226 7.4")
@pytest.mark.parametrize(
    ("ahead", "found"), [(0, False), (1, True), (12, True), (100, True), (101, False)]
)
def test_two_codes_in_a_row_are_found_a_hundred_ahead(ahead: int, found: bool) -> None:
    code, next_code = (code_at(KEY, 40 + n, SIX) for n in (ahead, ahead + 1))

    counter = resynchronised_counter(KEY, code, next_code, parameters=SIX, last_used=40)

    assert counter == (40 + ahead + 1 if found else None)
    assert RESYNCHRONISATION == 100


@pytest.mark.security("S2")
@pytest.mark.parametrize("places", [(3, 5), (4, 3), (3, 3), (3, 200), (200, 4)])
def test_two_codes_that_are_not_in_a_row_are_nothing(places: tuple[int, int]) -> None:
    code, next_code = (code_at(KEY, place, SIX) for place in places)

    assert resynchronised_counter(KEY, code, next_code, parameters=SIX, last_used=-1) is None


@pytest.mark.security("S5")
def test_compares_every_code_of_a_window_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = Mock(wraps=hmac.compare_digest)
    monkeypatch.setattr(hmac, "compare_digest", compared)

    for counter in (0, 10, 500):
        matching_counter(KEY, code_at(KEY, counter, SIX), parameters=SIX, last_used=-1)
        two = (code_at(KEY, counter, SIX), code_at(KEY, counter + 1, SIX))
        resynchronised_counter(KEY, *two, parameters=SIX, last_used=-1)

    assert compared.call_count == 3 * (11 + 100)


@given(
    key=st.binary(min_size=16, max_size=64),
    last_used=st.integers(min_value=-1, max_value=2**40),
    ahead=st.integers(min_value=-3, max_value=110),
    digits=st.integers(min_value=6, max_value=8),
)
def test_what_is_found_is_always_later_and_the_code_it_says(
    key: bytes, last_used: int, ahead: int, digits: int
) -> None:
    oracle = pyotp.HOTP(b32encode(key).decode(), digits=digits)
    parameters, counter = OtpParameters("SHA1", digits), max(0, last_used + ahead)
    code, next_code = oracle.at(counter), oracle.at(counter + 1)

    one = matching_counter(key, code, parameters=parameters, last_used=last_used)
    two = resynchronised_counter(key, code, next_code, parameters=parameters, last_used=last_used)

    if one is not None:
        assert last_used < one <= last_used + 11
        assert oracle.at(one) == code
    if two is not None:
        assert last_used + 1 < two <= last_used + 101
        assert (oracle.at(two - 1), oracle.at(two)) == (code, next_code)
    assert (one is not None) >= (1 <= counter - last_used <= 11)
    assert (two is not None) >= (1 <= counter - last_used <= 100)


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "code", ["", "75522", "7552244", " 755224", "\u0667\u0665\u0665224", "75522\ud800"]
)
def test_refuses_everything_but_the_enrolled_number_of_ascii_digits(code: str) -> None:
    assert matching_counter(KEY, code, parameters=SIX, last_used=-1) is None
    assert resynchronised_counter(KEY, code, VECTORS[1], parameters=SIX, last_used=-1) is None
    assert resynchronised_counter(KEY, VECTORS[0], code, parameters=SIX, last_used=-1) is None
