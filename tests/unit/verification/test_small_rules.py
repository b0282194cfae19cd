import hmac
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from hashlib import blake2b
from uuid import UUID

import pytest
from argon2.low_level import Type, hash_secret

from services.verification.domain.device import _PREFIX, Token, written
from services.verification.domain.outcome import ACR, Accepted, Why, why_lost
from services.verification.domain.pin import pin_holds
from services.verification.domain.places import (
    CREDENTIAL,
    DEVICE,
    LOOKUP,
    RECEIPT_KEY,
    RECOVERY_CODES,
    credential_place,
    receipt_key_place,
)
from services.verification.domain.subjects import lookup_digest, request_digest

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("spent", "why"), [(None, Why.REVOKED), (True, Why.REPLAYED), (False, Why.OVER_LIMIT)]
)
def test_says_why_a_code_that_matched_lost(spent: bool | None, why: Why) -> None:
    assert why_lost(spent) is why


@pytest.mark.standard("RFC 8176 2")
@pytest.mark.parametrize(
    ("factor", "method"),
    [("totp", "otp"), ("hotp", "otp"), ("recovery_code", "otp"), ("pin", "pin")],
)
def test_names_the_method_that_the_subject_was_seen_to_use(factor: str, method: str) -> None:
    accepted = Accepted(UUID(int=1), UUID(int=2), factor, datetime.now(UTC))

    assert accepted.amr == (method,)
    assert ACR == "urn:watchword:acr:second-factor"


def test_a_pin_holds_for_itself_alone() -> None:
    kept = hash_secret(b"493817", b"s" * 16, 1, 8, 1, 32, Type.ID)

    assert pin_holds(kept, "493817") is True
    assert pin_holds(kept, "493818") is False


@pytest.mark.security("S9")
def test_a_credential_belongs_to_one_row_alone() -> None:
    ids = [UUID(int=n) for n in range(3)]

    place = credential_place(ids[0], ids[1], authenticator_id=ids[2], factor="totp", epoch=7)

    assert place == ("credential", *(str(one) for one in ids), "totp", "7")
    assert receipt_key_place("id") == ("receipt key", "id")


@pytest.mark.security("S9")
def test_what_was_sealed_once_is_looked_for_under_the_same_words() -> None:
    assert (LOOKUP, CREDENTIAL, RECEIPT_KEY, DEVICE, RECOVERY_CODES) == (
        "subject lookup",
        "credential",
        "receipt key",
        "remembered device",
        "recovery codes",
    )


def test_names_are_found_under_keyed_digests_of_their_own_purpose() -> None:
    digest = lookup_digest(KEY, "anna@example.org")

    expected = blake2b(b"anna@example.org", digest_size=32, key=KEY, person=b"subject").digest()
    assert digest == expected
    assert digest != lookup_digest(b"o" * 32, "anna@example.org")


def test_requests_are_compared_part_by_part() -> None:
    parts = b"\0\0\0\x01a\0\0\0\x02bc"
    expected = blake2b(parts, digest_size=32, key=KEY, person=b"request").digest()

    assert request_digest(KEY, "a", "bc") == expected
    assert request_digest(KEY, "a", "bc") != request_digest(KEY, "ab", "c")


@pytest.mark.security("S9")
def test_a_device_token_is_made_for_devices_alone() -> None:
    token = Token(UUID(int=1), key_version=2, generation=3)
    raw = urlsafe_b64decode(written(token, KEY).removeprefix(_PREFIX) + "=")

    head = token.device_id.bytes + (2).to_bytes(4, "big") + (3).to_bytes(4, "big")
    assert raw == head + hmac.digest(KEY, b"device" + head, "sha256")
