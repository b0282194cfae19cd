"""TOTP of every hash, length and period that may be enrolled, several beside one another."""

import hashlib
import secrets
from base64 import b32encode, b64encode

import pyotp
import pytest
from pydantic import ValidationError

from contracts.internal import Credential
from contracts.vocabulary import Algorithm, Factor
from tests.integration.verification.conftest import World
from tests.integration.verification.factors import enrolled

HASHES = {
    Algorithm.SHA1: hashlib.sha1,
    Algorithm.SHA256: hashlib.sha256,
    Algorithm.SHA512: hashlib.sha512,
}
KINDS = [(Algorithm.SHA256, 8, 60), (Algorithm.SHA512, 7, 15), (Algorithm.SHA512, 6, 120)]


def credential(key: bytes, algorithm: Algorithm, digits: int, period: int) -> Credential:
    return Credential(
        factor=Factor.TOTP,
        epoch=1,
        secret=b64encode(key).decode(),
        algorithm=algorithm,
        digits=digits,
        period=period,
    )


@pytest.mark.security("S1")
@pytest.mark.standard("RFC 6238 1.2")
async def test_finds_each_kind_among_several_and_accepts_its_code_once(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    for algorithm, digits, period in KINDS:
        key = secrets.token_bytes(32)
        one = await enrolled(world, person, credential(key, algorithm, digits, period))
        phone = pyotp.TOTP(
            b32encode(key).decode(), digits=digits, digest=HASHES[algorithm], interval=period
        )
        code = phone.at(world.clock())

        answers = [await world.verify(application, person, code) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 403]
        assert answers[0].json()["authenticator"] == str(one)


@pytest.mark.standard("NIST 800-63B-4 3.1.4")
@pytest.mark.parametrize(
    ("digits", "period", "length", "allowed"),
    [
        (6, 30, 20, True),
        (5, 30, 20, False),
        (9, 30, 20, False),
        (6, 15, 20, True),
        (6, 14, 20, False),
        (6, 120, 20, True),
        (6, 121, 20, False),
        (6, 30, 15, False),
    ],
)
def test_a_credential_is_held_to_the_standards_borders(
    digits: int, period: int, length: int, allowed: bool
) -> None:
    if allowed:
        assert credential(bytes(length), Algorithm.SHA1, digits, period)
        return
    with pytest.raises(ValidationError):
        credential(bytes(length), Algorithm.SHA1, digits, period)
