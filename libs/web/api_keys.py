"""Application keys: how they are made, read and compared.

A key is `ww_<test|live>_<application id, base62, 22><secret, base62, 43><checksum, 6>`. The secret
has 256 random bits, so a plain SHA-256 of the whole key is stored (OWASP ASVS 5.0 6.5.2 asks for a
slow hash only below 112 bits). The checksum lets secret scanners tell a key from noise.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from dataclasses import dataclass
from uuid import UUID

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH = 22
_SECRET_LENGTH = 43
_CHECK_LENGTH = 6
_BODY_LENGTH = _ID_LENGTH + _SECRET_LENGTH


@dataclass(frozen=True)
class ApiKey:
    """A new key; `text` is shown once and only `digest` is stored."""

    text: str
    digest: str

    def __repr__(self) -> str:
        """Never show the key."""
        return "ApiKey(...)"


@dataclass(frozen=True)
class KeyParts:
    """What a well-formed key says of itself, before anything is checked."""

    mode: str
    application_id: UUID
    digest: str


def new_api_key(*, mode: str, application_id: UUID) -> ApiKey:
    """Make a key for an application."""
    secret = _base62(secrets.randbits(256), _SECRET_LENGTH)
    body = _base62(application_id.int, _ID_LENGTH) + secret
    text = f"ww_{mode}_{body}{_checksum(body)}"
    return ApiKey(text=text, digest=digest_of(text))


def read_api_key(text: str) -> KeyParts | None:
    """Take a key apart, or return None where it cannot be one."""
    prefix, _, rest = text.partition("_")
    mode, _, body = rest.partition("_")
    if prefix != "ww" or not mode.isascii() or not mode.isalpha():
        return None
    if len(body) != _BODY_LENGTH + _CHECK_LENGTH or any(letter not in _ALPHABET for letter in body):
        return None
    if _checksum(body[:_BODY_LENGTH]) != body[_BODY_LENGTH:]:
        return None
    number = _number(body[:_ID_LENGTH])
    if number >= 1 << 128:
        return None
    return KeyParts(mode=mode, application_id=UUID(int=number), digest=digest_of(text))


def digest_of(text: str) -> str:
    """Return what is stored of a key: SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def same_digest(stored: str, given: str) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(stored.encode(), given.encode())


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        letters.append(_ALPHABET[rest])
    return "".join(reversed(letters))


def _number(text: str) -> int:
    value = 0
    for letter in text:
        value = value * 62 + _ALPHABET.index(letter)
    return value
