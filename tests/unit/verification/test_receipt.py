from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from joserfc import jws
from joserfc.jwk import KeySetSerialization, OKPKey

from examples.check_receipt import Expected, ReceiptRefusedError, check
from services.verification.domain.outcome import ACR, Accepted
from services.verification.domain.receipt import (
    LIFETIME,
    Occasion,
    SigningKey,
    key_at,
    receipt_of,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, 999_999, tzinfo=UTC)
ACCEPTED = Accepted(uuid4(), uuid4(), "totp", NOW, 7)
OCCASION = Occasion("https://mfa.example.org", uuid4(), "anna@example.org", "nonce-of-this-login")
EXPECTED = Expected(OCCASION.issuer, str(OCCASION.application_id), OCCASION.subject, OCCASION.nonce)


def a_key(signs_from: datetime = NOW - timedelta(days=1)) -> SigningKey:
    return SigningKey(signs_from, OKPKey.generate_key("Ed25519"))


def published(*keys: SigningKey) -> KeySetSerialization:
    return {"keys": [key.public() for key in keys]}


def test_says_what_was_judged_for_whom() -> None:
    key = a_key()

    claims = check(
        receipt_of(ACCEPTED, OCCASION, [key]), published(key), expected=EXPECTED, now=NOW
    )

    assert claims == {
        "iss": "https://mfa.example.org",
        "aud": str(OCCASION.application_id),
        "sub": "anna@example.org",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 300,
        "jti": str(ACCEPTED.event_id),
        "nonce": "nonce-of-this-login",
        "acr": ACR,
        "amr": ["otp"],
        "aal": 2,
        "remembered": False,
        "authenticator": str(ACCEPTED.authenticator_id),
        "policy_version": 7,
    }


@pytest.mark.standard("RFC 8037 2")
def test_publishes_what_a_receipt_is_checked_with_and_no_private_key() -> None:
    key = a_key()

    assert key.public() == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": key.pair.as_dict(private=True)["x"],
        "kid": key.key_id,
        "use": "sig",
        "alg": "Ed25519",
    }


def test_names_its_key_and_its_kind_and_carries_no_blank() -> None:
    key = a_key()

    said = jws.extract_compact(receipt_of(ACCEPTED, OCCASION, [key]).encode())

    assert said.headers() == {"alg": "Ed25519", "kid": key.key_id, "typ": "watchword-receipt+jwt"}
    assert b" " not in said.payload


@pytest.mark.fault("R10")
def test_made_again_is_the_same_bytes() -> None:
    key = a_key()

    assert receipt_of(ACCEPTED, OCCASION, [key]) == receipt_of(ACCEPTED, OCCASION, [key])


@pytest.mark.security("S1")
@pytest.mark.parametrize("name", ["issuer", "application", "subject", "nonce"])
def test_proves_nothing_elsewhere(name: str) -> None:
    key = a_key()
    receipt = receipt_of(ACCEPTED, OCCASION, [key])

    with pytest.raises(ReceiptRefusedError, match="not the expected one"):
        check(receipt, published(key), expected=replace(EXPECTED, **{name: "other"}), now=NOW)


@pytest.mark.security("S3")
@pytest.mark.parametrize(
    ("after", "good"),
    [
        (timedelta(seconds=-7), False),
        (timedelta(seconds=-4), True),
        (LIFETIME + timedelta(seconds=4), True),
        (LIFETIME + timedelta(seconds=5), False),
    ],
)
def test_is_good_for_five_minutes(after: timedelta, good: bool) -> None:
    key = a_key()
    receipt = receipt_of(ACCEPTED, OCCASION, [key])

    try:
        check(receipt, published(key), expected=EXPECTED, now=NOW + after)
    except ReceiptRefusedError:
        assert not good
    else:
        assert good


@pytest.mark.security("S12")
def test_a_signature_of_somebody_else_or_of_another_kind_proves_nothing() -> None:
    key, other = a_key(), a_key()
    receipt = receipt_of(ACCEPTED, OCCASION, [key])
    payload = jws.extract_compact(receipt.encode()).payload
    header = {"alg": "Ed25519", "kid": key.key_id, "typ": "JWT"}
    unsigned = jws.serialize_compact(header, payload, key.pair, algorithms=["Ed25519"])
    head, body, signature = receipt.split(".")

    for forged in (
        receipt_of(ACCEPTED, OCCASION, [other]),
        unsigned,
        f"{head}.{body[:-2]}AA.{signature}",
        f"eyJhbGciOiJub25lIn0.{body}.",
        "not a receipt",
        "",
    ):
        with pytest.raises(ReceiptRefusedError):
            check(forged, published(key), expected=EXPECTED, now=NOW)


@pytest.mark.parametrize(
    ("at", "which"),
    [
        (timedelta(days=-40), 0),
        (timedelta(days=-30), 0),
        (timedelta(microseconds=-1), 0),
        (timedelta(0), 1),
        (timedelta(days=1), 1),
        (timedelta(days=30), 2),
    ],
)
def test_the_time_of_the_outcome_chooses_the_key(at: timedelta, which: int) -> None:
    keys = [a_key(NOW + timedelta(days=days)) for days in (-30, 0, 30)]

    assert key_at(keys, NOW + at) is keys[which]
