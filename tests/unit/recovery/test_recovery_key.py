import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recovery.domain.recovery_key import (
    RANDOM_BYTES,
    make_recovery_key,
    read_recovery_key,
    same_secret,
)

KEY = make_recovery_key(bytes(range(RANDOM_BYTES)))


@given(random=st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_reads_back_what_it_made(random: bytes) -> None:
    key = make_recovery_key(random)

    typed = read_recovery_key(key.text)

    assert typed is not None
    assert typed.selector == key.selector
    assert same_secret(key.digest, typed)


@pytest.mark.standard("NIST 800-63B-4 4.2.1.1")
def test_every_one_of_the_128_secret_bits_counts() -> None:
    base = int.from_bytes(secrets.token_bytes(RANDOM_BYTES))
    digests = {
        make_recovery_key((base ^ 1 << bit).to_bytes(RANDOM_BYTES)).digest for bit in range(128)
    }

    assert len(digests) == 128


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "text",
    [
        KEY.text.lower(),
        KEY.text.replace("-", ""),
        KEY.text.replace("-", " "),
        KEY.text.replace("0", "O").replace("1", "I"),
        KEY.text.replace("0", "o").replace("1", "l"),
    ],
)
def test_brings_what_people_type_into_one_form(text: str) -> None:
    assert read_recovery_key(text) == read_recovery_key(KEY.text)


@pytest.mark.parametrize(
    "text",
    ["", KEY.text[:-1], KEY.text + "0", KEY.text[:-1] + "U", KEY.text[:-1] + "\u0660", "u" * 32],
)
def test_refuses_what_cannot_be_a_key(text: str) -> None:
    assert read_recovery_key(text) is None


def test_a_key_never_shows_itself() -> None:
    assert KEY.text not in repr(KEY)


@pytest.mark.parametrize("length", [0, RANDOM_BYTES - 1, RANDOM_BYTES + 1])
def test_is_made_from_enough_randomness_only(length: int) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        make_recovery_key(bytes(length))
