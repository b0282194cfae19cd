"""Time-based one-time passwords (RFC 6238), as far as confirming an enrollment needs them."""

from dataclasses import dataclass
from datetime import datetime

from contracts.vocabulary import Algorithm
from services.enrollment.domain.otp import code_at, is_code, last_match

# One step either side: clocks differ and people type slowly (RFC 6238 section 5.2).
WINDOW = 1


@dataclass(frozen=True)
class Totp:
    """How the codes of one authenticator are made; `period` is in seconds."""

    algorithm: Algorithm
    digits: int
    period: int


# Many authenticator apps ignore what the URI says and assume exactly these.
STANDARD = Totp(Algorithm.SHA1, digits=6, period=30)


def matching_step(secret: bytes, code: str, *, parameters: Totp, at: datetime) -> int | None:
    """Return the newest step of the window whose code this is, or None."""
    algorithm, digits = parameters.algorithm, parameters.digits
    if not is_code(code, digits=digits):
        return None
    now = int(at.timestamp()) // parameters.period
    steps = range(now - WINDOW, now + WINDOW + 1)
    made = [code_at(secret, step, algorithm=algorithm, digits=digits) for step in steps]
    place = last_match((code,), made)
    return steps[place] if place is not None else None
