"""Recovery codes as they are issued: ten look-up secrets of 50 bits (NIST SP 800-63B-4 3.1.2)."""

import hmac
import re
from collections.abc import Callable, Sequence

# Crockford's base32: no I, L, O, U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HOW_MANY = 10
_HALF = 5
# The first two characters select a code of its set, and are those of no other one.
_SELECTOR = 2
_FORM = re.compile(f"[{ALPHABET}]{{5}}-[{ALPHABET}]{{5}}")


def new_codes(choose: Callable[[str], str]) -> tuple[str, ...]:
    """Return a set of codes, written ABCDE-FGHJK; `choose` picks one of the letters at random."""
    codes: dict[str, str] = {}
    while len(codes) < HOW_MANY:
        letters = "".join(choose(ALPHABET) for _ in range(2 * _HALF))
        codes.setdefault(letters[:_SELECTOR], f"{letters[:_HALF]}-{letters[_HALF:]}")
    return tuple(codes.values())


def is_code(text: str) -> bool:
    """Tell whether the text is a code in its one form; nothing is trimmed or translated."""
    return _FORM.fullmatch(text) is not None


def without(codes: Sequence[str], code: str) -> tuple[str, ...] | None:
    """Return the codes that are left once this one is spent, or None where it is none of them.

    All of them are compared, in constant time.
    """
    given = code.encode()
    left = tuple(one for one in codes if not hmac.compare_digest(one.encode(), given))
    return left if len(left) < len(codes) else None
