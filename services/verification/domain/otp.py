"""One-time passwords of a counter (RFC 4226 section 5.3), as HOTP and TOTP both make them."""

import hmac
from dataclasses import dataclass

_HASHES = {"SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}


@dataclass(frozen=True)
class OtpParameters:
    """How the codes of one authenticator are made."""

    algorithm: str
    digits: int


def is_code(text: str, *, digits: int) -> bool:
    """Tell whether the text is exactly `digits` ASCII digits; nothing is trimmed or translated."""
    return len(text) == digits and text.isascii() and text.isdigit()


def code_at(secret: bytes, counter: int, parameters: OtpParameters) -> str:
    """Return the code of one counter, or one time step (RFC 4226 section 5.3)."""
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), _HASHES[parameters.algorithm])
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**parameters.digits).zfill(parameters.digits)
