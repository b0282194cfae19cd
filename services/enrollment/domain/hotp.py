"""Counter-based one-time passwords (RFC 4226) of tokens, as far as enrolling needs them."""

from dataclasses import dataclass

from contracts.vocabulary import Algorithm
from services.enrollment.domain.otp import code_at, is_code, last_match

# How often the button may have been pressed for nothing (section 7.4, `s`); as at a login.
LOOK_AHEAD = 10
# How far two codes in a row may lie ahead: a token may have been in a drawer, and in pockets.
RESYNCHRONISATION = 100


@dataclass(frozen=True)
class Hotp:
    """How the codes of one token are made; `counter` is that of its next code."""

    algorithm: Algorithm
    digits: int
    counter: int


def matching_counter(
    secret: bytes, code: str, next_code: str | None, *, parameters: Hotp
) -> int | None:
    """Return the counter of the last code given, or None where the token makes no such codes.

    One code may lie a few presses ahead; two in a row, as many as resynchronisation allows.
    """
    algorithm, digits = parameters.algorithm, parameters.digits
    codes = (code,) if next_code is None else (code, next_code)
    if not all(is_code(one, digits=digits) for one in codes):
        return None
    ahead = LOOK_AHEAD if next_code is None else RESYNCHRONISATION
    counters = range(parameters.counter, parameters.counter + ahead + len(codes))
    made = [code_at(secret, one, algorithm=algorithm, digits=digits) for one in counters]
    place = last_match(codes, made)
    return counters[place] if place is not None else None
