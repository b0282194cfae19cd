from secrets import choice

import pytest

from contracts.credentials import is_set_of_codes
from services.enrollment.domain.recovery_codes import ALPHABET, is_code, new_codes, without


def test_a_set_is_what_verification_takes() -> None:
    for _ in range(200):
        codes = new_codes(choice)

        assert len(codes) == 10
        assert is_set_of_codes(codes)


def test_every_letter_occurs() -> None:
    letters = {letter for _ in range(50) for code in new_codes(choice) for letter in code}

    assert letters == set(ALPHABET) | {"-"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ABCDE-FGHJK", True),
        ("01234-56789", True),
        ("abcde-fghjk", False),
        ("ABCDEFGHJK", False),
        ("ABCDE-FGHJKM", False),
        ("IBCDE-FGHJK", False),
        ("LBCDE-FGHJK", False),
        ("OBCDE-FGHJK", False),
        ("UBCDE-FGHJK", False),
        (" ABCDE-FGHJK", False),
        ("", False),
    ],
)
def test_a_code_has_one_form(text: str, expected: bool) -> None:
    assert is_code(text) is expected


def test_the_code_that_was_given_is_taken_out() -> None:
    codes = new_codes(choice)

    assert without(codes, codes[4]) == codes[:4] + codes[5:]
    assert without(codes, "00000-00000") is None
    assert without((), codes[0]) is None
