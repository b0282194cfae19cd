import json
from base64 import b32encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.vocabulary import Algorithm, Factor
from services.enrollment.domain.import_refusals import Unreadable
from services.enrollment.domain.token_rows import MOST_ROWS, read_part, read_row

_SECRET = b"12345678901234567890"
_TEXT = b32encode(_SECRET).decode()
_TOTP = {"factor": "totp", "secret": _TEXT}
_HOTP = {"factor": "hotp", "secret": _TEXT}


def test_what_a_row_leaves_out_is_what_others_assume() -> None:
    totp = read_row(json.dumps(_TOTP), 1).body
    hotp = read_row(json.dumps(_HOTP), 2).body

    assert totp is not None
    assert hotp is not None
    assert (totp.factor, totp.secret, totp.algorithm) == (Factor.TOTP, _SECRET, Algorithm.SHA1)
    assert (totp.digits, totp.step, totp.next_counter) == (6, 30, None)
    assert (hotp.digits, hotp.step, hotp.next_counter) == (6, None, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"secret": b32encode(_SECRET[:15]).decode()}, "128 bits"),
        ({"secret": "not base32"}, "secret: not base32"),
        ({"secret": None}, "secret: not base32"),
        ({"secret": "A" * 216}, "secret: longer than 128 bytes"),
        ({"factor": "sms"}, "factor:"),
        ({"digits": 5}, "6 to 8 digits"),
        ({"digits": "6"}, "digits:"),
        ({"digits": 6.5}, "digits:"),
        ({"period": 14}, "15 to 120"),
        ({"period": 121}, "15 to 120"),
        ({"counter": 1}, "a counter is hotp's"),
        ({"factor": "hotp", "period": 30}, "a period is totp's"),
        ({"factor": "hotp", "counter": -1}, "counter:"),
        ({"factor": "hotp", "counter": 2**53 - 1}, "counter:"),
        ({"algorithm": "MD5"}, "algorithm:"),
        ({"serial": ""}, "serial:"),
        ({"serial": "T 1"}, "serial:"),
        ({"serial": "T" * 101}, "serial:"),
        ({"subject": " anna"}, "subject:"),
        ({"name": " phone"}, "name:"),
        ({"pin": "1234"}, "a name that is not known"),
        ({"refused": True}, "a name that is not known"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why(change: dict[str, object], said: str) -> None:
    row = read_row(json.dumps(_TOTP | change), 7)

    assert row.body is None
    assert any(said in error for error in row.errors), row.errors


@pytest.mark.parametrize(
    ("change", "digits"),
    [({"digits": 6}, 6), ({"digits": 8}, 8), ({"secret": b32encode(_SECRET[:16]).decode()}, 6)],
)
def test_the_borders_are_taken(change: dict[str, object], digits: int) -> None:
    body = read_row(json.dumps(_TOTP | change), 1).body

    assert body is not None
    assert body.digits == digits


@pytest.mark.parametrize(
    "line", ["", "[]", "1", "{", "null", '{"factor": "totp", "factor": "hotp"}', "[" * 4000]
)
def test_what_is_no_row_is_refused(line: str) -> None:
    assert read_row(line, 1).body is None


def test_a_row_that_its_sender_could_not_use_keeps_its_number() -> None:
    row = read_row('{"refused": true}', 3)

    assert (row.number, row.body, row.errors) == (3, None, ("left out by its sender",))


@pytest.mark.parametrize(
    "change",
    [
        {"factor": "hotp"},
        {"digits": 8},
        {"period": 60},
        {"algorithm": "SHA256"},
        {"serial": "T1"},
        {"subject": "anna"},
    ],
)
def test_rows_that_differ_have_other_contents(change: dict[str, object]) -> None:
    one, other = read_row(json.dumps(_TOTP), 1).body, read_row(json.dumps(_TOTP | change), 2).body
    named = read_row(json.dumps(_TOTP | {"name": "phone", "period": 30, "digits": 6}), 3).body

    assert one is not None
    assert other is not None
    assert named is not None
    assert one.content != other.content
    assert one.content == named.content


def test_a_part_is_split_into_lines_that_have_something() -> None:
    assert read_part(b"{}\n\n  \n[]", before=0) == ["{}", "[]"]


@pytest.mark.parametrize(
    ("content", "before", "said"),
    [
        (b"\xff", 5, "after row 5: not UTF-8"),
        (b"a\n" + b"x" * 4097, 1, "row 3: longer than 4096"),
        (b"a\nb", MOST_ROWS - 1, "at most 100000 rows"),
    ],
)
def test_a_part_that_cannot_be_split_says_where(content: bytes, before: int, said: str) -> None:
    part = read_part(content, before=before)

    assert isinstance(part, Unreadable)
    assert said in part.mistakes[0]


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3),
    ),
    st.sampled_from(["secret", "factor", "digits", "period", "counter", "serial", "subject"]),
)
def test_no_value_raises_or_is_quoted(value: object, name: str) -> None:
    row = read_row(json.dumps(_TOTP | {name: value}), 1)

    assert (row.body is None) is bool(row.errors)
    assert _TEXT not in repr(row)
