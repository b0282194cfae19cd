import hmac
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.domain.recovery_codes import (
    digests_of,
    is_recovery_code,
    key_version_of,
    matching_place,
)

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODES = ("7HJ2K-9QXW4", "A1B2C-D3E4F", "ZZZZZ-00000")
KEY = bytes(range(32))
SALTS = [bytes([n]) * 16 for n in range(3)]
KEPT = digests_of(CODES, SALTS, key=KEY, version=7)


@pytest.mark.parametrize(("code", "place"), [(code, n) for n, code in enumerate(CODES)])
def test_finds_the_place_of_a_code(code: str, place: int) -> None:
    assert matching_place(KEPT, code, key=KEY) == place
    assert key_version_of(KEPT) == 7


@pytest.mark.parametrize("code", ["7HJ2K-9QXW5", "7H000-00000", "00000-00000"])
def test_a_known_selector_alone_is_not_enough(code: str) -> None:
    assert matching_place(KEPT, code, key=KEY) is None


@pytest.mark.standard("NIST 800-63B-4 3.1.2.2")
def test_keeps_no_code_and_no_digest_without_the_tenants_key() -> None:
    assert all(code.encode() not in KEPT for code in CODES)
    assert matching_place(KEPT, CODES[0], key=bytes(32)) is None
    assert digests_of(CODES, SALTS[::-1], key=KEY, version=7) != KEPT


def test_keeps_the_bytes_that_stored_sets_consist_of() -> None:
    entries = (
        code[:2].encode() + salt + hmac.digest(KEY, salt + code.encode(), "sha256")
        for code, salt in zip(CODES, SALTS, strict=True)
    )

    assert b"\0\0\0\7" + b"".join(entries) == KEPT


@pytest.mark.parametrize("salts", [SALTS[:2], [*SALTS, bytes(16)]])
def test_every_code_has_a_salt_of_its_own_or_nothing_is_kept(salts: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"zip\(\)"):
        digests_of(CODES, salts, key=KEY, version=7)


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "code",
    [
        "",
        "7HJ2K9QXW4",
        "7hj2k-9qxw4",
        "7HJ2K-9QXW4 ",
        " 7HJ2K-9QXW4",
        "7HJ2K-9QXW4\n",
        "7HJ2K\u20109QXW4",
        "7HJ2K-9QXWI",
        "7HJ2K-9QXWL",
        "7HJ2K-9QXWO",
        "7HJ2K-9QXWU",
        "7HJ2-K9QXW4",
        "\uff17HJ2K-9QXW4",
    ],
)
def test_has_one_form(code: str) -> None:
    assert not is_recovery_code(code)
    assert matching_place(KEPT, code, key=KEY) is None


@pytest.mark.security("S5")
@pytest.mark.parametrize("code", [*CODES, "7H000-00000", "00000-00000"])
def test_computes_and_compares_one_digest_whatever_is_asked(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = Mock(wraps=hmac.compare_digest)
    digested = Mock(wraps=hmac.digest)
    monkeypatch.setattr(hmac, "compare_digest", compared)
    monkeypatch.setattr(hmac, "digest", digested)

    matching_place(KEPT, code, key=KEY)

    assert (compared.call_count, digested.call_count) == (1, 1)


@given(
    st.lists(st.text(ALPHABET, min_size=10, max_size=10), max_size=32, unique_by=lambda c: c[:2])
)
def test_every_code_of_a_set_is_found_in_its_own_place(texts: list[str]) -> None:
    codes = [f"{text[:5]}-{text[5:]}" for text in texts]
    kept = digests_of(codes, [bytes(16)] * len(codes), key=KEY, version=1)

    assert [matching_place(kept, code, key=KEY) for code in codes] == list(range(len(codes)))
