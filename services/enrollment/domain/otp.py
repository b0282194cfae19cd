"""One-time passwords of a counter (RFC 4226 section 5.3), as HOTP and TOTP both make them."""

import hashlib
import hmac
from collections.abc import Sequence

from contracts.vocabulary import Algorithm

# RFC 4226 section 4, R6: 160 bits are recommended, 128 are the least.
SECRET_LENGTH = 20
SHORTEST_SECRET = 16

_HASHES = {
    Algorithm.SHA1: hashlib.sha1,
    Algorithm.SHA256: hashlib.sha256,
    Algorithm.SHA512: hashlib.sha512,
}


def is_code(text: str, *, digits: int) -> bool:
    """Tell whether the text is exactly `digits` ASCII digits; nothing is trimmed or translated."""
    return len(text) == digits and text.isascii() and text.isdigit()


def code_at(secret: bytes, counter: int, *, algorithm: Algorithm, digits: int) -> str:
    """Return the code of one counter, or one time step."""
    mac = hmac.new(secret, counter.to_bytes(8, "big"), _HASHES[algorithm]).digest()
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def last_match(given: Sequence[str], made: Sequence[str]) -> int | None:
    """Return the place in `made` of the last code of the last such row of codes, or None.

    All places are compared, each row as one, in constant time.
    """
    wanted, matched = "".join(given).encode(), None
    for end in range(len(given), len(made) + 1):
        if hmac.compare_digest("".join(made[end - len(given) : end]).encode(), wanted):
            matched = end - 1
    return matched
