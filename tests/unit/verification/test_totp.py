import hmac
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.verification.domain.otp import OtpParameters, code_at, is_code
from services.verification.domain.totp import WINDOW, matching_step

SEEDS = {
    "SHA1": b"12345678901234567890",
    "SHA256": b"12345678901234567890123456789012",
    "SHA512": b"1234567890123456789012345678901234567890123456789012345678901234",
}
# RFC 6238 appendix B.
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
SIX = OtpParameters("SHA1", 6)
NOW = datetime(2026, 11, 23, 12, 0, 15, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30


@pytest.mark.standard("RFC 6238 appendix B")
@pytest.mark.parametrize(("time", "sha1", "sha256", "sha512"), VECTORS)
def test_gives_the_codes_of_the_standard(time: int, sha1: str, sha256: str, sha512: str) -> None:
    for algorithm, expected in zip(SEEDS, (sha1, sha256, sha512), strict=True):
        assert code_at(SEEDS[algorithm], time // 30, OtpParameters(algorithm, 8)) == expected


@pytest.mark.parametrize(
    ("offset", "found"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_accepts_one_step_either_side_and_no_more(offset: int, found: bool) -> None:
    code = code_at(SEEDS["SHA1"], STEP + offset, SIX)

    matched = matching_step(SEEDS["SHA1"], code, parameters=SIX, period=30, at=NOW)

    assert matched == (STEP + offset if found else None)
    assert WINDOW == 1


@pytest.mark.parametrize("second", [0, 29])
def test_counts_a_step_from_its_first_to_its_last_second(second: int) -> None:
    at = datetime.fromtimestamp(STEP * 30 + second, UTC)

    assert matching_step(
        SEEDS["SHA1"], code_at(SEEDS["SHA1"], STEP, SIX), parameters=SIX, period=30, at=at
    )
    assert int(at.timestamp()) // 30 == STEP


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "code",
    [
        "",
        "1",
        "12345",
        "1234567",
        " 123456",
        "123456 ",
        "123\u00a0456",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "12345\u00b2",
        "12345\ud800",
        "123-456",
        "+12345",
        "1234.5",
    ],
)
def test_refuses_everything_but_the_enrolled_number_of_ascii_digits(code: str) -> None:
    assert not is_code(code, digits=6)
    assert matching_step(SEEDS["SHA1"], code, parameters=SIX, period=30, at=NOW) is None


def test_refuses_a_shortened_code() -> None:
    code = code_at(SEEDS["SHA1"], STEP, SIX)

    assert all(
        matching_step(SEEDS["SHA1"], code[-length:], parameters=SIX, period=30, at=NOW) is None
        for length in range(1, 6)
    )


@given(
    secret=st.binary(min_size=16, max_size=64),
    step=st.integers(min_value=1, max_value=2**40),
    algorithm=st.sampled_from(["SHA1", "SHA256", "SHA512"]),
    digits=st.integers(min_value=6, max_value=8),
)
def test_agrees_with_an_independent_implementation(
    secret: bytes, step: int, algorithm: str, digits: int
) -> None:
    import base64
    import hashlib

    digest = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}[algorithm]
    oracle = pyotp.HOTP(base64.b32encode(secret).decode(), digits=digits, digest=digest)

    assert code_at(secret, step, OtpParameters(algorithm, digits)) == oracle.at(step)


def test_takes_the_newest_step_where_two_have_the_same_code() -> None:
    # Two neighbouring steps with one code exist; the older one would leave the code usable again.
    secret, parameters = SEEDS["SHA1"], OtpParameters("SHA1", 6)
    step = next(
        step
        for step in range(1, 10_000_000)
        if code_at(secret, step, parameters) == code_at(secret, step + 1, parameters)
    )
    at = datetime.fromtimestamp(step * 30, UTC) + timedelta(seconds=1)

    code = code_at(secret, step, parameters)

    assert matching_step(secret, code, parameters=parameters, period=30, at=at) == step + 1


@given(
    secret=st.binary(min_size=16, max_size=64),
    algorithm=st.sampled_from(["SHA1", "SHA256", "SHA512"]),
    digits=st.integers(min_value=6, max_value=8),
    period=st.integers(min_value=15, max_value=120),
    second=st.integers(min_value=1_000, max_value=2**33),
    offset=st.integers(min_value=-1, max_value=1),
)
def test_agrees_with_an_independent_implementation_for_every_period(
    secret: bytes, algorithm: str, digits: int, period: int, second: int, offset: int
) -> None:
    import base64
    import hashlib

    digest = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}[algorithm]
    oracle = pyotp.TOTP(
        base64.b32encode(secret).decode(), digits=digits, digest=digest, interval=period
    )
    code = oracle.generate_otp(second // period + offset)

    step = matching_step(
        secret,
        code,
        parameters=OtpParameters(algorithm, digits),
        period=period,
        at=datetime.fromtimestamp(second, UTC),
    )

    assert step is not None
    assert step >= second // period + offset
    assert oracle.generate_otp(step) == code


# A key is hashed first where it is longer than a block of the hash (RFC 2104 section 2).
@example(secret=b"k" * 64, counter=1, algorithm="SHA1", digits=6)
@example(secret=b"k" * 65, counter=1, algorithm="SHA1", digits=6)
@example(secret=b"k" * 65, counter=1, algorithm="SHA256", digits=6)
@example(secret=b"k" * 128, counter=1, algorithm="SHA512", digits=6)
@example(secret=b"k" * 129, counter=1, algorithm="SHA512", digits=6)
@given(
    secret=st.binary(min_size=1, max_size=200),
    counter=st.integers(0, 2**63 - 1),
    algorithm=st.sampled_from(sorted(SEEDS)),
    digits=st.integers(6, 8),
)
def test_codes_are_those_of_the_standard_librarys_hmac(
    secret: bytes, counter: int, algorithm: str, digits: int
) -> None:
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), algorithm.lower())
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF

    code = code_at(secret, counter, OtpParameters(algorithm, digits))

    assert code == str(number % 10**digits).zfill(digits)
