"""Counter-based one-time passwords (RFC 4226): the next few codes, or two in a row further on."""

import hmac

from services.verification.domain.otp import OtpParameters, codes_at, is_code

# How often the button may have been pressed for nothing (section 7.4, `s`). The window is what a
# blind guess can hit, so domain/budget.py charges for it.
LOOK_AHEAD = 10
# How far two codes in a row may lie ahead: what can hit them is a guess of twice the digits.
RESYNCHRONISATION = 100


def matching_counter(
    secret: bytes, code: str, *, parameters: OtpParameters, last_used: int
) -> int | None:
    """Return the highest counter of the look-ahead window whose code this is, or None.

    The window begins behind `last_used`, which may be out of date: only the stored row can say
    whether a counter is still unspent. The highest, because it spends the ones before it too.
    """
    if not is_code(code, digits=parameters.digits):
        return None
    counters, given = range(last_used + 1, last_used + LOOK_AHEAD + 2), code.encode()
    matched = None
    for counter, expected in zip(counters, codes_at(secret, counters, parameters), strict=True):
        if hmac.compare_digest(expected, given):
            matched = counter
    return matched


def resynchronised_counter(
    secret: bytes, code: str, next_code: str, *, parameters: OtpParameters, last_used: int
) -> int | None:
    """Return the counter of `next_code` where both are codes of two counters in a row, or None."""
    digits = parameters.digits
    if not (is_code(code, digits=digits) and is_code(next_code, digits=digits)):
        return None
    given = (code + next_code).encode()
    counters = range(last_used + 1, last_used + RESYNCHRONISATION + 2)
    codes = list(codes_at(secret, counters, parameters))
    matched = None
    for counter, expected, expected_next in zip(counters[1:], codes, codes[1:], strict=False):
        # Compared as one: that the first half was right must not show.
        if hmac.compare_digest(expected + expected_next, given):
            matched = counter
    return matched
