from base64 import b32encode
from datetime import UTC, datetime, timedelta
from secrets import token_bytes

import pyotp
import pytest

from contracts.vocabulary import Algorithm
from services.enrollment.domain.otp import code_at, is_code
from services.enrollment.domain.totp import STANDARD, Totp, matching_step

SECRETS = {
    Algorithm.SHA1: b"12345678901234567890",
    Algorithm.SHA256: b"12345678901234567890123456789012",
    Algorithm.SHA512: b"1234567890123456789012345678901234567890123456789012345678901234",
}
# RFC 6238, appendix B: seconds, then the codes with SHA-1, SHA-256 and SHA-512.
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
NOW = datetime(2026, 5, 4, 3, 2, 10, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30
SECRET = SECRETS[Algorithm.SHA1]


def _code(secret: bytes, step: int) -> str:
    return code_at(secret, step, algorithm=STANDARD.algorithm, digits=STANDARD.digits)


@pytest.mark.standard("RFC 6238 appendix B")
@pytest.mark.parametrize(("seconds", "sha1", "sha256", "sha512"), VECTORS)
def test_makes_the_codes_of_the_standard(seconds: int, sha1: str, sha256: str, sha512: str) -> None:
    for algorithm, expected in zip(Algorithm, (sha1, sha256, sha512), strict=True):
        parameters = Totp(algorithm, digits=8, period=30)
        secret, at = SECRETS[algorithm], datetime.fromtimestamp(seconds, UTC)

        assert code_at(secret, seconds // 30, algorithm=algorithm, digits=8) == expected
        assert matching_step(secret, expected, parameters=parameters, at=at) == seconds // 30


def test_agrees_with_pyotp() -> None:
    for number in range(300):
        secret = token_bytes(20)
        at = NOW + timedelta(days=number, seconds=number)
        expected = pyotp.TOTP(b32encode(secret).decode()).at(at)

        assert _code(secret, int(at.timestamp()) // 30) == expected


@pytest.mark.parametrize(
    ("steps", "accepted"), [(-3, False), (-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_accepts_one_step_either_side(steps: int, *, accepted: bool) -> None:
    code = _code(SECRET, STEP + steps)

    found = matching_step(SECRET, code, parameters=STANDARD, at=NOW)

    assert found == (STEP + steps if accepted else None)


def test_a_step_begins_with_its_first_second() -> None:
    code = _code(SECRET, STEP + 2)
    border = datetime.fromtimestamp((STEP + 1) * 30, UTC)
    before = border - timedelta(microseconds=1)

    assert matching_step(SECRET, code, parameters=STANDARD, at=before) is None
    assert matching_step(SECRET, code, parameters=STANDARD, at=border) == STEP + 2


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "change",
    [
        lambda code: code[:-1],
        lambda code: code + "0",
        lambda code: code[:1],
        lambda code: code[:0],
        lambda code: " " + code,
        lambda code: code + "\n",
        lambda code: code[:3] + " " + code[3:],
        lambda code: "".join(chr(ord("\uff10") + int(digit)) for digit in code),
        lambda code: "".join(chr(ord("\u0660") + int(digit)) for digit in code),
        lambda code: "\u00b2" + code[1:],
        lambda code: "\u200b" + code,
    ],
)
def test_a_code_has_one_form(change: object) -> None:
    assert callable(change)
    code = change(_code(SECRET, STEP))

    assert not is_code(code, digits=6)
    assert matching_step(SECRET, code, parameters=STANDARD, at=NOW) is None
