import json
import tracemalloc
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from services.enrollment.domain.passkey import Ceremony, Known, creation_options, registered
from tests.fixtures.soft_authenticator import (
    AAGUID,
    AT,
    BE,
    BS,
    UP,
    UV,
    VERIFIED,
    Cose,
    attested,
    eddsa,
    es256,
    making,
    read,
    rs256,
    written,
)

HERE = "https://login.example.org"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(-9, 9) | st.text(), inner),
    max_leaves=8,
)
CEREMONY = Ceremony(
    rp_id="example.org",
    origins=("https://example.org", HERE),
    user_id=bytes(range(32)),
    challenge=bytes(range(100, 132)),
)
OPTIONS: Any = creation_options(CEREMONY, issuer="Acme", label="kim@example.org")


def made(**changed: Any) -> dict[str, Any]:
    return making(OPTIONS, HERE, **changed).credential()


def is_taken(credential: object) -> bool:
    return registered(CEREMONY, json.dumps(credential)) is not None


@pytest.mark.standard("WebAuthn Level 3, 5.4")
def test_asks_for_a_passkey_of_somebody_who_is_verified() -> None:
    known = Known(credential_id=b"\x01" * 16, transports=("usb", "smart-card"))
    ceremony = CEREMONY.model_copy(update={"known": (known,)})

    options = creation_options(ceremony, issuer="Acme", label="kim@example.org")

    assert options == {
        "rp": {"id": "example.org", "name": "Acme"},
        "user": {
            "id": written(bytes(range(32))),
            "name": "kim@example.org",
            "displayName": "kim@example.org",
        },
        "challenge": written(CEREMONY.challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-7, -8, -257)],
        "timeout": 300_000,
        "excludeCredentials": [
            {"type": "public-key", "id": written(b"\x01" * 16), "transports": ["usb", "smart-card"]}
        ],
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": False,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def test_what_is_sealed_comes_back() -> None:
    known = (Known(credential_id=bytes(range(256)), transports=()),)
    ceremony = CEREMONY.model_copy(update={"known": known})

    assert Ceremony.model_validate_json(ceremony.model_dump_json()) == ceremony
    assert "example.org" in repr(ceremony)
    assert "user_id" not in repr(ceremony)
    assert "challenge" not in repr(ceremony)


@pytest.mark.parametrize("key", [es256(), eddsa(), rs256(2048)], ids=["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize(("flags", "backed_up"), [(0, (False, False)), (BE | BS, (True, True))])
def test_keeps_what_a_login_will_need(key: Cose, flags: int, backed_up: tuple[bool, bool]) -> None:
    passkey = registered(
        CEREMONY, json.dumps(made(key=key, credential_id=b"kept" * 8, flags=VERIFIED | flags))
    )

    assert passkey is not None
    assert (passkey.rp_id, passkey.credential_id) == ("example.org", b"kept" * 8)
    assert cbor2.loads(passkey.public_key) == key
    assert (passkey.aaguid, passkey.sign_count, passkey.user_verified) == (AAGUID, 0, True)
    assert (passkey.backup_eligible, passkey.backed_up) == backed_up
    # What this release does not know cannot be asked for either.
    assert passkey.transports == ("internal", "hybrid")
    assert "kept" not in repr(passkey)


def test_takes_one_that_signs_itself() -> None:
    by_itself = attested(making(OPTIONS, HERE))
    forged = attested(making(OPTIONS, HERE))
    forged["response"]["clientDataJSON"] = written(
        read(forged["response"]["clientDataJSON"]).replace(b"}", b" }")
    )

    assert is_taken(by_itself)
    assert not is_taken(forged)


def test_no_certificate_of_a_stranger_is_read() -> None:
    assert not is_taken(attested(making(OPTIONS, HERE), by_certificate=True))


@pytest.mark.standard("WebAuthn Level 3, 7.1")
@pytest.mark.parametrize(
    "wrong",
    [
        {"challenge": written(bytes(32))},
        {"challenge": written(CEREMONY.challenge[:-1])},
        {"challenge": ""},
        {"kind": "webauthn.get"},
        {"origin": "https://evil.example"},
        {"origin": "https://login.example.org.evil.example"},
        {"origin": "https://other.example.org"},
        {"origin": "http://login.example.org"},
        {"origin": "https://login.example.org/"},
        {"origin": "https://login.example.org:8443"},
        {"origin": "HTTPS://LOGIN.EXAMPLE.ORG"},
        {"cross_origin": True},
        {"rp_id": "login.example.org"},
        {"rp_id": "evil.example"},
        {"flags": UP | AT},
        {"flags": UV | AT},
        {"flags": UP | UV},
        {"flags": VERIFIED | BS},
        {"credential_id": b""},
        {"credential_id": b"x" * 1024},
        {"more": b"\x00"},
        {"form": "tpm"},
        {"form": "apple"},
        {"form": "packed"},
        {"form": None},
        {"statement": {"sig": b"none has none"}},
        {"form": "packed", "statement": {"alg": -7, "sig": b"x", "x5c": [b"x"]}},
        {"form": "packed", "statement": {"alg": -7, "sig": b"x"}},
    ],
    ids=str,
)
def test_one_thing_that_is_wrong_is_enough(wrong: dict[str, Any]) -> None:
    assert is_taken(made())
    assert not is_taken(made(**wrong))


@pytest.mark.parametrize(
    "key",
    [
        {**es256(), -2: bytes(32)},
        {**es256(), 3: -35},
        {**es256(), 3: -8},
        {**es256(), 3: -257},
        es256(key_type=1),
        es256(ec.SECP384R1()),
        {**eddsa(), -2: b"short"},
        {**eddsa(), 3: -7},
        rs256(1024),
        {**rs256(2048), 3: -7},
        {},
        # In CBOR the first byte of a point that is not compressed.
        4,
        None,
        "key",
    ],
    # Keys are made anew each time, and the two processes of a run have to collect the same names.
    ids=lambda _: "key",
)
def test_a_key_that_is_none_of_its_algorithm_is_refused(key: object) -> None:
    assert not is_taken(made(key=key))


def test_a_number_is_not_taken_for_so_many_bytes() -> None:
    credential = making(OPTIONS, HERE).credential(authData=1 << 26)

    tracemalloc.start()
    taken = is_taken(credential)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert not taken
    assert most < 1 << 24


@given(ANYTHING, st.sampled_from(["fmt", "attStmt", "authData"]))
def test_no_attestation_breaks_the_reading(anything: object, member: str) -> None:
    credential = making(OPTIONS, HERE).credential(**{member: anything})

    if is_taken(credential):
        assert anything == "none" or (member == "attStmt" and isinstance(anything, dict))


@given(ANYTHING)
def test_no_key_breaks_the_reading(anything: object) -> None:
    assert not is_taken(made(key=anything))


@given(st.binary(max_size=200), st.sampled_from(["clientDataJSON", "attestationObject"]))
def test_no_bytes_break_the_reading(content: bytes, member: str) -> None:
    credential = made()
    credential["response"][member] = written(content)

    assert not is_taken(credential)


@given(st.data())
def test_no_flipped_bit_breaks_the_reading(data: st.DataObject) -> None:
    credential = made()
    content = bytearray(read(credential["response"]["attestationObject"]))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    credential["response"]["attestationObject"] = written(bytes(content))

    registered(CEREMONY, json.dumps(credential))
