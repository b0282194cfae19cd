import pytest

from services.enrollment.domain.pin import is_pin, is_weak, pin_hash, pin_holds

SALT = bytes(16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12345", False),
        ("123456", True),
        ("1234567890", True),
        ("12345678901", False),
        ("12345a", False),
        ("12345\u0666", False),
        (" 12345", False),
        ("", False),
    ],
)
def test_a_pin_is_six_to_ten_digits(text: str, expected: bool) -> None:
    assert is_pin(text) is expected


@pytest.mark.requirement("C3")
@pytest.mark.parametrize(
    "pin",
    [
        *("000000", "111222", "121212", "123123", "123321", "112211"),
        *("123456", "654321", "456789", "890123", "210987", "135791", "246802"),
        *("147258", "258369", "159357", "753951"),
        # Day, month, year in three orders; 29 February of a leap year.
        *("241287", "122487", "871224", "290204", "24121987", "12241987", "19871224"),
    ],
)
def test_what_is_guessed_first_is_weak(pin: str) -> None:
    assert is_weak(pin)


@pytest.mark.requirement("C3")
@pytest.mark.parametrize(
    "pin", ["480263", "907531", "739418", "300299", "451399", "24131987", "1482950", "86420173"]
)
def test_what_only_looks_like_it_is_not(pin: str) -> None:
    assert not is_weak(pin)


def test_nine_of_ten_pins_may_be_chosen() -> None:
    weak = sum(is_weak(f"{number:06}") for number in range(0, 10**6, 7))

    assert 0.05 < weak / (10**6 / 7) < 0.1


def test_a_hash_is_of_this_pin_and_this_salt() -> None:
    kept = pin_hash("480263", SALT)

    assert kept.startswith(b"$argon2id$v=19$m=19456,t=2,p=1$")
    assert pin_holds(kept, "480263")
    assert not pin_holds(kept, "480264")
    assert pin_hash("480263", b"1" * 16) != kept
