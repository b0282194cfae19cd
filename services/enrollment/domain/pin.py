"""PINs: which are too easy to guess, and the hash that is kept of one."""

from datetime import date
from functools import partial
from itertools import pairwise

from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type, hash_secret, verify_secret

from services.enrollment.domain.otp import is_code

SHORTEST = 6
LONGEST = 10
SALT_LENGTH = 16
# As OWASP advises for argon2id (19 MiB, t=2, p=1); contracts/credentials.py takes no other.
_HASH = partial(hash_secret, time_cost=2, memory_cost=19456, parallelism=1, hash_len=32)

_KEYPAD = ("147258369", "159357", "258046", "741852963")
_FEW_DIGITS = 2
# Years that a person may have been born in, or remember something of.
_YEARS = range(1920, 2040)


def is_pin(text: str) -> bool:
    """Tell whether the text is 6 to 10 ASCII digits."""
    return SHORTEST <= len(text) <= LONGEST and is_code(text, digits=len(text))


def is_weak(pin: str) -> bool:
    """Tell whether a PIN is among those that are tried first.

    Rows up or down, figures on a keypad, one or two digits only, a part that repeats, and dates.
    """
    return (
        len(set(pin)) <= _FEW_DIGITS
        or _is_row(pin)
        or any(pin in figure or pin in figure[::-1] for figure in _KEYPAD)
        or _repeats(pin)
        or _is_date(pin)
    )


def pin_hash(pin: str, salt: bytes) -> bytes:
    """Return the argon2id hash that is kept of a PIN; this takes some 40 ms of a core."""
    return _HASH(pin.encode(), salt, type=Type.ID)


def pin_holds(stored_hash: bytes, pin: str) -> bool:
    """Tell whether this is the PIN; this takes some 40 ms of a core."""
    try:
        return verify_secret(stored_hash, pin.encode(), Type.ID)
    except VerifyMismatchError:
        return False


def _is_row(pin: str) -> bool:
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return len(steps) == 1


def _repeats(pin: str) -> bool:
    whole = len(pin)
    return (
        any(whole % part == 0 and pin == pin[:part] * (whole // part) for part in range(1, whole))
        or pin == pin[::-1]
    )


def _is_date(pin: str) -> bool:
    if len(pin) == 6:
        readings = (
            (pin[:2], pin[2:4], pin[4:]),
            (pin[2:4], pin[:2], pin[4:]),
            (pin[4:], pin[2:4], pin[:2]),
        )
        return any(
            _exists(day, month, century + year)
            for day, month, year in readings
            for century in ("19", "20")
        )
    if len(pin) == 8:
        return (
            _exists(pin[:2], pin[2:4], pin[4:])
            or _exists(pin[2:4], pin[:2], pin[4:])
            or _exists(pin[6:], pin[4:6], pin[:4])
        )
    return False


def _exists(day: str, month: str, year: str) -> bool:
    try:
        return date(int(year), int(month), int(day)).year in _YEARS
    except ValueError:
        return False
