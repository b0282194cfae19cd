"""The recovery key: a saved recovery code of 128 bits (NIST SP 800-63B-4 section 4.2.1.1 asks 64).

It reads `<selector, 6><secret, 26>` in Crockford's base32, in groups of four. The selector finds
one row, so that a guess costs one comparison; it is no secret.
"""

import hashlib
import hmac
from dataclasses import dataclass

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Crockford: letters that are read for digits, and separators that people type or leave out.
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_SELECTOR_BITS, _SELECTOR_LENGTH = 30, 6
_SECRET_BITS, _SECRET_LENGTH = 128, 26
_GROUP = 4
RANDOM_BYTES = 20


@dataclass(frozen=True)
class RecoveryKey:
    """A key as it is shown, and the two parts of it that are stored."""

    text: str
    selector: str
    digest: bytes

    def __repr__(self) -> str:
        """Never show the key."""
        return "RecoveryKey(...)"


@dataclass(frozen=True)
class TypedKey:
    """What a person typed, in its one form."""

    selector: str
    digest: bytes


def make_recovery_key(random: bytes) -> RecoveryKey:
    """Make a key from `RANDOM_BYTES` random bytes; raises ValueError for another number of them."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed")
    number = int.from_bytes(random)
    secret = _encode(number & ((1 << _SECRET_BITS) - 1), _SECRET_LENGTH)
    selector = _encode(number >> _SECRET_BITS & ((1 << _SELECTOR_BITS) - 1), _SELECTOR_LENGTH)
    letters = selector + secret
    groups = [letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP)]
    return RecoveryKey("-".join(groups), selector, digest_of(secret))


def read_recovery_key(text: str) -> TypedKey | None:
    """Bring what was typed into its one form, or return None where it cannot be a key."""
    if not text.isascii():
        return None
    letters = text.upper().translate(_READ_AS)
    if len(letters) != _SELECTOR_LENGTH + _SECRET_LENGTH:
        return None
    if any(letter not in _ALPHABET for letter in letters):
        return None
    return TypedKey(letters[:_SELECTOR_LENGTH], digest_of(letters[_SELECTOR_LENGTH:]))


def digest_of(secret: str) -> bytes:
    """Return what is stored: from 112 bits on a plain hash is enough (OWASP ASVS 5.0 6.5.2)."""
    return hashlib.sha256(b"recovery key" + secret.encode()).digest()


def same_secret(stored: bytes, typed: TypedKey) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(stored, typed.digest)


def _encode(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, rest = divmod(number, 32)
        letters.append(_ALPHABET[rest])
    return "".join(reversed(letters))
