import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.vocabulary import Algorithm, Factor
from services.enrollment.domain.token_rows import read_row
from tests.unit.watchword.token_files.writing import SECRET
from watchword.authenticators import _key_of, _over_tls, _passphrase_of
from watchword.token_files.rows import Owners, parts_of, read_owners, row_of
from watchword.token_files.tokens import Read, Token, TokenFileError

_TOTP = Token(Factor.TOTP, SECRET, Algorithm.SHA256, digits=8, period=60, serial="T1")
_HOTP = Token(Factor.HOTP, SECRET, counter=9, account="anna@example.org")
_NOBODY = Owners({})


def test_a_row_says_what_enrollment_reads() -> None:
    for token in (_TOTP, _HOTP):
        body = read_row(row_of(Read(1, token), Owners({"T1": "bob"})).decode(), 1).body

        assert body is not None
        assert (body.factor, body.secret) == (token.factor, SECRET)
        assert (body.algorithm, body.digits) == (token.algorithm, token.digits)
        is_totp = token.factor is Factor.TOTP
        assert body.step == (60 if is_totp else None)
        assert body.next_counter == (None if is_totp else 9)
        assert (body.serial, body.subject) == (("T1", "bob") if is_totp else (None, None))


def test_a_row_that_cannot_be_used_keeps_its_place() -> None:
    assert json.loads(row_of(Read(7, reason="too short"), _NOBODY)) == {"refused": True}


@pytest.mark.parametrize(
    ("owners", "token", "subject"),
    [
        (_NOBODY, _HOTP, None),
        (Owners({}, accounts_are_subjects=True), _HOTP, "anna@example.org"),
        (Owners({}, accounts_are_subjects=True), _TOTP, None),
        (Owners({"anna@example.org": "a1"}), _HOTP, "a1"),
        (Owners({"anna@example.org": "a1"}, accounts_are_subjects=True), _HOTP, "a1"),
        (Owners({"T1": "a1"}), replace(_TOTP, subject="in the file"), "in the file"),
    ],
)
def test_whose_a_token_is(owners: Owners, token: Token, subject: str | None) -> None:
    assert owners.of(token) == subject


def test_owners_are_read_from_two_columns(tmp_path: Path) -> None:
    file = tmp_path / "owners.csv"
    file.write_text('T1, anna@example.org\n\n"T2","bob"\nT1,anna@example.org\n')

    assert read_owners(file) == {"T1": "anna@example.org", "T2": "bob"}


@pytest.mark.parametrize("content", ["T1\n", "T1,a,b\n", 'T1,"a\n', "T1,anna\nT1,bob\n"])
def test_owners_that_are_not_clear_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "owners.csv"
    file.write_text(content)

    with pytest.raises(TokenFileError):
        read_owners(file)


def test_parts_are_whole_rows_and_the_same_each_time() -> None:
    rows = [b"x" * length + b"\n" for length in (4, 4, 9, 1, 30, 1)]

    parts = list(parts_of(rows, size=10))

    assert parts == [rows[0] + rows[1], rows[2], rows[3], rows[4], rows[5]]
    assert list(parts_of([], size=10)) == []


@pytest.mark.parametrize("length", [16, 24, 32])
def test_a_key_is_read_as_bytes_hexadecimal_or_base64(tmp_path: Path, length: int) -> None:
    key, file = bytes(range(200, 200 + length)), tmp_path / "key"
    for content in (key, key.hex().encode() + b"\n", b64encode(key) + b"\r\n"):
        file.write_bytes(content)
        assert _key_of(file) == key


@pytest.mark.parametrize("content", [b"", b"secret", b"00" * 17, b"\xff" * 20, b"z!" * 15])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)

    with pytest.raises(TokenFileError, match="not an AES key"):
        _key_of(file)


def test_only_the_line_break_does_not_belong_to_a_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(b" correct horse \r\n")

    assert _passphrase_of(file) == b" correct horse "


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://mfa.example.org", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://mfa.example.org", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1@example.org", False),
    ],
)
def test_secrets_leave_the_machine_over_tls_only(url: str, allowed: bool) -> None:
    _over_tls(url, allow_http=True)
    if allowed:
        _over_tls(url, allow_http=False)
    else:
        with pytest.raises(TokenFileError, match="https"):
            _over_tls(url, allow_http=False)
