"""Time-based one-time passwords (RFC 6238), judged without regard to how close a wrong code was."""

import hmac
from dataclasses import dataclass
from datetime import datetime

# One step either side: clocks differ and people type slowly (RFC 6238 section 5.2).
WINDOW = 1

_HASHES = {"SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}


@dataclass(frozen=True)
class TotpParameters:
    """How the codes of one authenticator are made; `period` is in seconds."""

    algorithm: str
    digits: int
    period: int


def is_code(text: str, *, digits: int) -> bool:
    """Tell whether the text is exactly `digits` ASCII digits; nothing is trimmed or translated."""
    return len(text) == digits and text.isascii() and text.isdigit()


def code_at(secret: bytes, step: int, parameters: TotpParameters) -> str:
    """Return the code of one time step (RFC 4226 section 5.3)."""
    counter = step.to_bytes(8, "big")
    mac = hmac.digest(secret, counter, _HASHES[parameters.algorithm])
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**parameters.digits).zfill(parameters.digits)


def matching_step(
    secret: bytes, code: str, *, parameters: TotpParameters, at: datetime
) -> int | None:
    """Return the newest step of the window whose code this is, or None.

    Every step of the window is computed and compared in constant time. Whether the step is still
    unspent is not judged here: only the stored row can say that.
    """
    if not is_code(code, digits=parameters.digits):
        return None
    now = int(at.timestamp()) // parameters.period
    matched = None
    for step in range(now - WINDOW, now + WINDOW + 1):
        expected = code_at(secret, step, parameters)
        if hmac.compare_digest(expected.encode(), code.encode()):
            matched = step
    return matched
