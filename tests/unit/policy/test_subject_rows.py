import json

import pytest

from contracts.vocabulary import Language
from services.policy.domain.refusals import Unreadable
from services.policy.domain.subject_rows import (
    COLUMNS,
    MOST_ROWS,
    Format,
    PartRows,
    Row,
    read_part,
    read_row,
)

_HEADER = ",".join(COLUMNS) + "\n"
_LONGEST = 64 * 1024


def _csv(text: str | bytes, *, columns: tuple[str, ...] = (), before: int = 0) -> PartRows:
    content = text if isinstance(text, bytes) else text.encode()
    read = read_part(content, Format.CSV, columns=columns, before=before)
    assert isinstance(read, PartRows), read
    return read


def _words(content: str | bytes, kind: Format = Format.CSV, *, before: int = 0) -> tuple[str, ...]:
    raw = content if isinstance(content, bytes) else content.encode()
    columns = ("subject",) if before else ()
    read = read_part(raw, kind, columns=columns, before=before)
    assert isinstance(read, Unreadable), read
    return read.words


def _row(text: str, *, header: str = _HEADER) -> Row:
    read = _csv(header + text)
    return read_row(read.rows[0], 1, columns=read.columns)


def _line(line: str) -> Row:
    read = read_part(line.encode(), Format.JSON_LINES, columns=(), before=0)
    assert isinstance(read, PartRows)
    return read_row(read.rows[0], 1, columns=())


def test_a_row_of_a_csv_says_what_a_body_says() -> None:
    body = _row("anna,Anna@Example.ORG,Anna,staff,a;b,nl\n").body

    assert body is not None
    assert (body.subject, body.email, body.label) == ("anna", "Anna@example.org", "Anna")
    assert (body.user_type, body.language) == ("staff", Language.DUTCH)
    assert body.groups == {"a", "b"}
    assert body.model_fields_set == set(COLUMNS)


def test_a_line_of_json_says_what_the_same_row_of_a_csv_says() -> None:
    said: dict[str, object] = {
        "subject": "anna",
        "email": None,
        "label": None,
        "user_type": None,
        "groups": [],
        "language": "en",
    }

    assert _line(json.dumps(said)).body == _row("anna,,,,,en\n").body


def test_columns_come_in_any_order_and_may_be_absent() -> None:
    body = _row("staff,anna\n", header="user_type,subject\n").body

    assert body is not None
    assert body.model_fields_set == {"user_type", "subject"}


@pytest.mark.parametrize(
    "text",
    [
        "subject\nanna\nbob\n",
        "subject\r\nanna\r\nbob",
        "\ufeffsubject\nanna\nbob\n",
        "subject\n\nanna\n\n\nbob\n\n",
        'subject\n"anna"\n"bob"\n',
        "subject\ranna\rbob\r",
    ],
)
def test_rows_are_the_same_however_their_lines_end(text: str) -> None:
    assert list(_csv(text).rows) == [["anna"], ["bob"]]


def test_a_quoted_cell_holds_commas_quotes_and_lines() -> None:
    read = _csv('subject,label\nanna,"a, ""b""\nc"\n')

    assert read.rows == [["anna", 'a, "b"\nc']]


def test_a_later_part_has_no_header() -> None:
    read = _csv("anna\n", columns=("subject",), before=7)

    assert (read.columns, list(read.rows)) == (("subject",), [["anna"]])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "header: the column subject is missing"),
        ("email\n", "header: the column subject is missing"),
        ("subject,subject\n", "header: column 2 is there twice"),
        ("subject,mail\n", f"header: column 2 is none of {', '.join(COLUMNS)}"),
        ("Subject\n", f"header: column 1 is none of {', '.join(COLUMNS)}"),
        ("subject;email\n", f"header: column 1 is none of {', '.join(COLUMNS)}"),
        ('"subject\n', "header: its quotation marks are not as RFC 4180 wants them"),
        (b"subj\xffect\n", "header: not UTF-8"),
        ("subject,\n", f"header: column 2 is none of {', '.join(COLUMNS)}"),
    ],
)
def test_a_wrong_header_is_named(header: str | bytes, words: str) -> None:
    assert words in _words(header)


def test_a_forgotten_header_is_not_quoted() -> None:
    assert "anna" not in " ".join(_words("anna@example.org,Anna\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"subject\nanna\nb\xff\n", "row 2: not UTF-8"),
        (b"subject\nanna\nb\xed\xb2\x80\n", "row 2: not UTF-8"),
        ("subject\nanna\nb\0\n", "row 2: a NUL byte"),
        ('subject\nanna\n"bob\ncarl\n', "row 2: its quotation marks are not as RFC 4180"),
        ('subject\nanna\n"bob"x\ncarl\n', "row 2: its quotation marks are not as RFC 4180"),
        ('subject,label\na,"x\ny"\nb,"z\n', "row 2: its quotation marks are not as RFC 4180"),
        (f"subject\nanna\n{'b' * (_LONGEST + 1)}\n", "row 2: longer than 65536 characters"),
        (f"subject\nanna\n{'b' * 200_000}\n", "row 2: "),
    ],
)
def test_what_cannot_be_split_is_named_by_its_row(text: str | bytes, words: str) -> None:
    assert _words(text)[0].startswith(words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"subject": "a"}\n{"subject": "\xff"}\n', "row 9: not UTF-8"),
        (b'{"subject": "a"}\n{"subject": "\0"}\n', "row 9: a NUL byte"),
        (b"{}\n" + b" " * (_LONGEST + 1) + b"{}\n", "row 9: longer than 65536 characters"),
    ],
)
def test_rows_are_counted_over_the_parts(content: bytes, words: str) -> None:
    assert _words(content, Format.JSON_LINES, before=7) == (words,)


def test_the_longest_row_is_taken() -> None:
    assert _csv(f"subject\n{'b' * _LONGEST}\n").rows == [["b" * _LONGEST]]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("anna\n", "1 cells, where the header has 6"),
        ("anna,,,,,en,\n", "7 cells, where the header has 6"),
        (",,,,,en\n", "subject: String should have at least 1 character"),
        (" anna,,,,,en\n", "subject: no white space, control or invisible characters"),
        ("anna,anna,,,,en\n", "email: not an e-mail address"),
        ("anna,,,,,\n", "language: Input should be 'en' or 'nl'"),
        ("anna,,,,,de\n", "language: Input should be 'en' or 'nl'"),
        ("anna,,,,a;;b,en\n", "groups: String should have at least 1 character"),
        ("anna,,,,a; b,en\n", "groups: white space outside, unseen characters or text"),
        ("anna,,,x\u200b,,en\n", "user_type: white space outside, unseen characters or text"),
    ],
)
def test_what_is_wrong_in_a_row_is_said_by_column(text: str, word: str) -> None:
    row = _row(text)

    assert row.body is None
    assert any(error.startswith(word) for error in row.errors), row.errors


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("anna", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"subject": "a"', "not a JSON object"),
        ('{"subject": "a", "subject": "b"}', "a name stands twice"),
        ('{"subject": NaN}', "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"subject": 7}', "subject: Input should be a valid string"),
        ('{"subject": "a", "secret": 1}', f"a name that is none of {', '.join(COLUMNS)}"),
        ('{"subject": "a", "language": null}', "language: Input should be 'en' or 'nl'"),
        ('{"subject": "a", "groups": null}', "groups: Input should be a valid frozenset"),
        ("{}", "subject: Field required"),
        ('{"subject": "\\ud800"}', "subject: Input should be a valid string"),
    ],
)
def test_a_wrong_line_is_refused_alone(line: str, words: str) -> None:
    if len(line) > _LONGEST:
        line = line[:_LONGEST]

    row = _line(line)

    assert row.body is None
    assert row.errors[0].startswith(words), row.errors


def test_no_error_and_no_repr_shows_what_a_row_says() -> None:
    canary = "canary@example.org"
    lines = [
        {"subject": canary + " ", "email": "x" + canary + "@"},
        {"subject": "a", canary: 1},
        {"subject": "a", "language": canary, "user_type": [canary], "groups": {canary: 1}},
        {"subject": canary},
    ]

    for line in lines:
        row = _line(json.dumps(line))
        assert "canary" not in repr(row)


def test_a_row_has_a_bounded_number_of_errors() -> None:
    row = _line(json.dumps({"subject": "a", "groups": [" " * n for n in range(2, 60)]}))

    assert 0 < len(row.errors) <= 10


@pytest.mark.parametrize("content", ["," * 1024 * 1024, "subject," * 8000, "x\n," * 8000])
def test_a_header_of_nothing_but_commas_is_answered_in_a_few_words(content: str) -> None:
    words = _words(content)

    assert 1 <= len(words) <= 10
    assert sum(map(len, words)) < 1000


def test_the_cells_of_a_row_are_bounded_whatever_is_in_them() -> None:
    _csv("subject\n" + "," * _LONGEST)
    assert _words("subject\n" + "," * (_LONGEST + 1)) == ("row 1: longer than 65536 characters",)


@pytest.mark.parametrize("kind", Format)
def test_no_more_rows_are_read_than_an_import_may_have(kind: Format) -> None:
    read = read_part(b"subject\n" + b"x\n" * 500_000, kind, columns=(), before=0)

    assert isinstance(read, PartRows)
    assert len(read.rows) == MOST_ROWS + 1
