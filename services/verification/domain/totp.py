"""Time-based one-time passwords (RFC 6238), judged without regard to how close a wrong code was."""

import hmac
from datetime import datetime

from services.verification.domain.otp import OtpParameters, codes_at, is_code

# One step either side: clocks differ and people type slowly (RFC 6238 section 5.2).
WINDOW = 1


def matching_step(
    secret: bytes, code: str, *, parameters: OtpParameters, period: int, at: datetime
) -> int | None:
    """Return the newest step of the window whose code this is, or None; `period` is in seconds.

    Every step of the window is computed and compared in constant time. Whether the step is still
    unspent is not judged here: only the stored row can say that.
    """
    if not is_code(code, digits=parameters.digits):
        return None
    now, given = int(at.timestamp()) // period, code.encode()
    steps = range(now - WINDOW, now + WINDOW + 1)
    matched = None
    for step, expected in zip(steps, codes_at(secret, steps, parameters), strict=True):
        if hmac.compare_digest(expected, given):
            matched = step
    return matched
