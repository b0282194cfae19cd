"""What stands in a row of any of the files, and what cannot be used of it; no reason quotes it."""

from base64 import b32decode, b32encode
from dataclasses import dataclass, field

from contracts.credentials import OTP_DIGITS, PERIODS, SHORTEST_KEY
from contracts.vocabulary import Algorithm, Factor

MOST_ROWS = 100_000
LONGEST_SECRET = 128
LARGEST_COUNTER = 2**53 - 2
_LONGEST_SERIAL = 100
DEFAULT_PERIOD = 30
DEFAULT_DIGITS = 6


class TokenFileError(Exception):
    """A file cannot be read at all; the text says why and quotes nothing of it."""


class RowError(Exception):
    """A row cannot be used; the text says why and quotes nothing of it."""


@dataclass(frozen=True)
class Token:
    """One secret and how its codes are made; `account` is what an app shows beside the code."""

    factor: Factor
    secret: bytes = field(repr=False)
    algorithm: Algorithm = Algorithm.SHA1
    digits: int = DEFAULT_DIGITS
    period: int = DEFAULT_PERIOD
    counter: int = 0
    serial: str | None = None
    account: str | None = field(default=None, repr=False)
    subject: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Read:
    """What a row says, or why it cannot be used; rows are counted from 1."""

    row: int
    token: Token | None = None
    reason: str | None = None


def usable(token: Token) -> Token:
    """Return the token; raises RowError where codes of it are never accepted."""
    if len(token.secret) < SHORTEST_KEY:
        raise RowError("secret: shorter than 128 bits, which is too weak: re-enroll")
    if len(token.secret) > LONGEST_SECRET:
        raise RowError(f"secret: longer than {LONGEST_SECRET} bytes")
    if token.digits not in OTP_DIGITS:
        raise RowError("digits: codes have 6 to 8 digits")
    if token.factor is Factor.TOTP and token.period not in PERIODS:
        raise RowError("period: a step lasts 15 to 120 seconds")
    if not 0 <= token.counter <= LARGEST_COUNTER:
        raise RowError("counter: out of range")
    if token.serial is not None and not _is_serial(token.serial):
        raise RowError(f"serial: 1 to {_LONGEST_SERIAL} visible characters of ASCII")
    return token


def secret_of_base32(text: str) -> bytes:
    """Return a secret written in base32, with or without padding, spaces and hyphens."""
    plain = text.replace(" ", "").replace("-", "").rstrip("=").upper()
    try:
        return b32decode(plain + "=" * (-len(plain) % 8))
    except ValueError:
        raise RowError("secret: not base32") from None


def base32_of(secret: bytes) -> str:
    """Return a secret as rows have it."""
    return b32encode(secret).decode().rstrip("=")


def number_of(text: str, name: str) -> int:
    """Return a number written in ASCII digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise RowError(f"{name}: not a number")
    return int(text)


def algorithm_of(text: str) -> Algorithm:
    """Return the hash that others write as SHA1, sha-1, HMAC-SHA256 or HmacSHA512."""
    plain = text.upper().replace("-", "").replace("_", "").removeprefix("HMAC")
    try:
        return Algorithm(plain)
    except ValueError:
        raise RowError("algorithm: none of SHA1, SHA256, SHA512") from None


def factor_of(text: str) -> Factor:
    """Return the factor that others write as totp or hotp."""
    named = {"totp": Factor.TOTP, "hotp": Factor.HOTP}
    try:
        return named[text.lower()]
    except KeyError:
        raise RowError("type: neither totp nor hotp") from None


def _is_serial(text: str) -> bool:
    return 1 <= len(text) <= _LONGEST_SERIAL and all("!" <= letter <= "~" for letter in text)
