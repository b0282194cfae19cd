"""What makes up the credential of each factor whose answers are codes."""

import re
from base64 import b64decode
from collections.abc import Sequence

from contracts.vocabulary import Factor

# Verification claims the credentials of these, and judges their codes.
WITH_CODES = frozenset({Factor.TOTP, Factor.HOTP, Factor.PIN, Factor.RECOVERY_CODE})
# NIST SP 800-63B-4 section 3.1.4: a time step lasts at most two minutes.
PERIODS = range(15, 121)
OTP_DIGITS = range(6, 9)
_PIN_DIGITS = range(6, 11)
# Hashes of other parameters would be weaker, or keep the verifier busy for longer.
_PIN_HASH = b"$argon2id$v=19$m=19456,t=2,p=1$"
SHORTEST_KEY = 16  # RFC 4226 section 4, R6: at least 128 bits
_MOST_CODES = 32
_CODE = re.compile("[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}")


def is_otp(secret: str, *, algorithm: str | None, digits: int | None) -> bool:
    """Tell whether this makes one-time passwords of a counter."""
    return len(b64decode(secret)) >= SHORTEST_KEY and algorithm is not None and digits in OTP_DIGITS


def is_pin(secret: str, *, digits: int | None) -> bool:
    """Tell whether this is the hash of a PIN, and of how many digits."""
    return b64decode(secret).startswith(_PIN_HASH) and digits in _PIN_DIGITS


def is_set_of_codes(codes: Sequence[str]) -> bool:
    """Tell whether these are recovery codes, each of which its first two characters select."""
    selectors = {code[:2] for code in codes}
    return (
        1 <= len(codes) <= _MOST_CODES
        and len(selectors) == len(codes)
        and all(_CODE.fullmatch(code) for code in codes)
    )


def is_complete(
    factor: Factor,
    secret: str,
    *,
    algorithm: str | None,
    digits: int | None,
    period: int | None,
    codes: Sequence[str],
) -> bool:
    """Tell whether a credential has what its factor needs, and nothing else."""
    given = (algorithm is not None, digits is not None, period is not None, bool(codes))
    match factor, given:
        case Factor.TOTP, (True, True, True, False):
            return is_otp(secret, algorithm=algorithm, digits=digits) and period in PERIODS
        case Factor.HOTP, (True, True, False, False):
            return is_otp(secret, algorithm=algorithm, digits=digits)
        case Factor.PIN, (False, True, False, False):
            return is_pin(secret, digits=digits)
        case Factor.RECOVERY_CODE, (False, False, False, True):
            return secret == "" and is_set_of_codes(codes)
        case _:
            return False
