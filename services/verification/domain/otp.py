"""One-time passwords of a counter (RFC 4226 section 5.3), as HOTP and TOTP both make them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from struct import unpack_from
from typing import NamedTuple, Protocol


class _Digest(Protocol):
    def digest(self) -> bytes: ...


# The hash, and how many bytes it takes at once.
_HASHES: dict[str, tuple[Callable[[bytes], _Digest], int]] = {
    "SHA1": (hashlib.sha1, 64),
    "SHA256": (hashlib.sha256, 64),
    "SHA512": (hashlib.sha512, 128),
}
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class OtpParameters(NamedTuple):
    """How the codes of one authenticator are made."""

    algorithm: str
    digits: int


def is_code(text: str, *, digits: int) -> bool:
    """Tell whether the text is exactly `digits` ASCII digits; nothing is trimmed or translated."""
    return len(text) == digits and text.isascii() and text.isdigit()


def codes_at(secret: bytes, counters: Iterable[int], parameters: OtpParameters) -> Iterator[bytes]:
    """Yield the codes of these counters, or time steps, in ASCII (RFC 4226 section 5.3)."""
    # HMAC (RFC 2104 section 2) in two hashes a counter: the window's codes share the key's pads,
    # which takes half as long as to begin anew for each of them.
    sha, block = _HASHES[parameters.algorithm]
    key = (secret if len(secret) <= block else sha(secret).digest()).ljust(block, b"\0")
    inner, outer = key.translate(_INNER), key.translate(_OUTER)
    modulus = 10**parameters.digits
    for counter in counters:
        mac = sha(outer + sha(inner + counter.to_bytes(8, "big")).digest()).digest()
        (number,) = unpack_from(">I", mac, mac[-1] & 0x0F)
        yield b"%0*d" % (parameters.digits, (number & 0x7FFFFFFF) % modulus)


def code_at(secret: bytes, counter: int, parameters: OtpParameters) -> str:
    """Return the code of one counter, or one time step."""
    return next(codes_at(secret, (counter,), parameters)).decode()
