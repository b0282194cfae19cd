import os
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from libs.sealing.key_file import KeyFile, UnsafeKeyFile, read_key_file, write_key_file
from libs.sealing.letter import LetterBox, write_letter
from libs.sealing.seal import DataKey, SealBroken, bound, key_version, open_seal, seal

KEY = DataKey(1, b"k" * 32)
PLACE = ("credential", "tenant", "subject", "authenticator", "totp", "1")
PLACES = st.lists(st.text(max_size=8), max_size=6)


@given(secret=st.binary(max_size=200))
def test_opens_what_it_sealed(secret: bytes) -> None:
    sealed = seal(KEY, secret, place=PLACE)

    assert open_seal(KEY, sealed, place=PLACE) == secret
    assert secret not in sealed or len(secret) < 8


@pytest.mark.security("S9")
@pytest.mark.parametrize("part", range(len(PLACE)))
def test_does_not_open_at_another_place(part: int) -> None:
    sealed = seal(KEY, b"secret", place=PLACE)
    elsewhere = [value + "x" if at == part else value for at, value in enumerate(PLACE)]

    with pytest.raises(SealBroken, match=r"^not sealed with this key for this place$"):
        open_seal(KEY, sealed, place=elsewhere)


@pytest.mark.security("S9")
def test_does_not_open_when_any_byte_was_changed() -> None:
    sealed = seal(KEY, b"secret", place=PLACE)

    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(SealBroken):
            open_seal(KEY, bytes(changed), place=PLACE)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (DataKey(1, b"o" * 32), "not sealed with this key for this place"),
        (DataKey(2, b"k" * 32), "sealed with another version of the key"),
    ],
)
def test_does_not_open_under_another_key(key: DataKey, said: str) -> None:
    with pytest.raises(SealBroken, match=f"^{said}$"):
        open_seal(key, seal(KEY, b"secret", place=PLACE), place=PLACE)


@pytest.mark.security("S9")
@given(one=PLACES, other=PLACES)
def test_no_two_places_look_alike(one: list[str], other: list[str]) -> None:
    assert (bound(one) == bound(other)) is (one == other)


@pytest.mark.security("S9")
def test_a_place_is_bound_in_the_bytes_that_stored_values_were_sealed_with() -> None:
    assert bound(["a", "", "b\u00e9"]) == b"\0\0\0\1a" + b"\0\0\0\0" + b"\0\0\0\3b\xc3\xa9"
    assert bound([]) == b""


@pytest.mark.security("S9")
def test_uses_every_nonce_once() -> None:
    nonces = {seal(KEY, b"", place=())[5:17] for _ in range(20_000)}

    assert len(nonces) == 20_000


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x01" * 16, b"\x02" * 40])
def test_refuses_what_is_not_sealed(value: bytes) -> None:
    with pytest.raises(SealBroken, match=r"^not a sealed value$"):
        key_version(value)


@pytest.mark.parametrize("length", [12, 13, 100])
def test_the_head_alone_says_which_key_is_needed(length: int) -> None:
    assert key_version(b"\1" + b"\0\0\1\2" + bytes(length)) == 258


def test_a_key_never_shows_itself() -> None:
    assert "kkk" not in repr(KEY)


def test_a_letter_opens_for_the_asker_of_the_call_only() -> None:
    asker, other = LetterBox(), LetterBox()
    letter = write_letter(asker.public_key, {"secret": "x"}, place=PLACE)

    assert asker.open(letter, place=PLACE) == {"secret": "x"}
    for box, place in ((other, PLACE), (asker, PLACE[:-1])):
        with pytest.raises(SealBroken):
            box.open(letter, place=place)


@pytest.mark.parametrize("key", ["", "!!", "AAAA"])
def test_a_malformed_public_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)base64|32 bytes|padding|key"):
        write_letter(key, {}, place=PLACE)


def test_a_key_file_wraps_for_one_place(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    write_key_file(file)
    keys = read_key_file(file)

    wrapped = keys.wrap(b"d" * 32, place=("tenant",))

    assert keys.unwrap(wrapped, place=("tenant",)) == b"d" * 32
    with pytest.raises(InvalidTag):
        keys.unwrap(wrapped, place=("other",))
    with pytest.raises(KeyError):
        KeyFile({2: b"x" * 32}).unwrap(wrapped, place=("tenant",))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_refuses_a_key_file_that_others_may_read(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "keys"
    write_key_file(file)
    file.chmod(mode)

    with pytest.raises(UnsafeKeyFile):
        read_key_file(file)


def test_makes_a_key_file_for_its_owner_and_never_over_another(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    write_key_file(file)

    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_key_file(file)


@pytest.mark.parametrize(
    "text", ["", "\n", "1 00ff\n", f"{'ab' * 32}\n", f"x {'ab' * 32}\n", f"1 {'xy' * 32}\n"]
)
def test_refuses_a_key_file_without_a_whole_key_and_quotes_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.touch(mode=0o600)
    file.write_text(text)

    with pytest.raises(UnsafeKeyFile) as refused:
        read_key_file(file)

    assert "abab" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_an_empty_line_of_a_key_file_is_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    write_key_file(file)
    file.write_text(f"\n{file.read_text()}\n")

    assert read_key_file(file).version == 1
