"""Rows of an import as they come: CSV (RFC 4180) or JSON lines, in parts of whole rows."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from pydantic import ValidationError

from services.policy.domain.refusals import Unreadable
from services.policy.domain.subject_text import SubjectBody

COLUMNS = tuple(SubjectBody.model_fields)
MOST_ROWS = 100_000
# A hundred groups of a hundred letters, each of them escaped in JSON, fit.
_LONGEST_ROW = 64 * 1024
_MOST_ERRORS = 10
# Bytes that are no UTF-8 come as these surrogates, which UTF-8 itself cannot hold (PEP 383).
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_EMPTY: Mapping[str, object] = {"groups": (), "subject": ""}

Raw = str | list[str]


class Format(StrEnum):
    """How the rows are written."""

    CSV = "csv"
    JSON_LINES = "jsonl"


@dataclass(frozen=True)
class PartRows:
    """The rows of a part, not yet looked into; `columns` are the header of a CSV."""

    columns: tuple[str, ...]
    rows: Sequence[Raw] = field(repr=False)


@dataclass(frozen=True)
class Row:
    """What a row says, or what is wrong with it; no error quotes a value."""

    number: int
    body: SubjectBody | None = field(default=None, repr=False)
    errors: tuple[str, ...] = ()


class _AmbiguousError(ValueError):
    """A name stands twice in one object."""


def read_part(
    content: bytes, kind: Format, *, columns: tuple[str, ...], before: int
) -> PartRows | Unreadable:
    """Split a part into rows; the first part of a CSV, which knows no columns, has the header.

    `before` is how many rows came in the parts before this one. Lines without anything are no rows.
    """
    text = content.decode("utf-8-sig" if before == 0 else "utf-8", "surrogateescape")
    wants_header = kind is Format.CSV and not columns
    number = before if wants_header else before + 1
    rows: list[Raw] = []
    # One look at all of it is much quicker than one at each cell.
    clean = "\0" not in text and _NOT_UTF8.search(text) is None
    try:
        for row in _records(text, kind):
            if wrong := _too_long(row) or (None if clean else _wrong_with(row)):
                return Unreadable((f"{_name(number)}: {wrong}",))
            rows.append(row)
            number += 1
            if number > MOST_ROWS + 1:
                # What follows makes no difference: it is too much.
                break
    except csv.Error:
        return Unreadable((f"{_name(number)}: its quotation marks are not as RFC 4180 wants them",))
    if not wants_header:
        return PartRows(columns, rows)
    header = list(rows[0]) if rows else []
    mistakes = tuple(islice(_mistakes_of_header(header), _MOST_ERRORS))
    return Unreadable(mistakes) if mistakes else PartRows(tuple(header), rows[1:])


def read_row(row: Raw, number: int, *, columns: tuple[str, ...]) -> Row:
    """Look into a row."""
    if isinstance(row, list) and len(row) != len(columns):
        return Row(number, errors=(f"{len(row)} cells, where the header has {len(columns)}",))
    try:
        said = _object(row) if isinstance(row, str) else _cells(row, columns)
        return Row(number, SubjectBody.model_validate(said))
    except ValidationError as error:
        return Row(number, errors=tuple(dict.fromkeys(_words(error)))[:_MOST_ERRORS])
    except _AmbiguousError:
        return Row(number, errors=("a name stands twice",))
    except (ValueError, RecursionError):
        return Row(number, errors=("not a JSON object",))


def _records(text: str, kind: Format) -> Iterator[Raw]:
    match kind:
        case Format.JSON_LINES:
            yield from (line for line in text.split("\n") if line.strip())
        case Format.CSV:
            yield from filter(None, csv.reader(io.StringIO(text, newline=""), strict=True))


def _too_long(row: Raw) -> str | None:
    # What separates cells counts: a row of nothing else would have a million of them.
    length = len(row) if isinstance(row, str) else sum(map(len, row)) + len(row) - 1
    return f"longer than {_LONGEST_ROW} characters" if length > _LONGEST_ROW else None


def _wrong_with(row: Raw) -> str | None:
    cells = [row] if isinstance(row, str) else row
    if any("\0" in cell for cell in cells):
        return "a NUL byte"
    return "not UTF-8" if any(map(_NOT_UTF8.search, cells)) else None


def _name(number: int) -> str:
    return f"row {number}" if number else "header"


def _mistakes_of_header(header: list[str]) -> Iterator[str]:
    # What stands there may be a person's, where the header was forgotten: it is not quoted.
    known = ", ".join(COLUMNS)
    for place, name in enumerate(header, start=1):
        if name not in COLUMNS:
            yield f"header: column {place} is none of {known}"
        elif name in header[: place - 1]:
            yield f"header: column {place} is there twice"
    if "subject" not in header:
        yield "header: the column subject is missing"


def _object(row: str) -> object:
    said: object = json.loads(row, object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
    if not isinstance(said, dict):
        raise ValueError("something else")
    return said


def _cells(row: list[str], columns: tuple[str, ...]) -> dict[str, object]:
    said: dict[str, object] = {}
    for column, cell in zip(columns, row, strict=True):
        if not cell:
            said[column] = _EMPTY.get(column)
        else:
            said[column] = cell.split(";") if column == "groups" else cell
    return said


def _words(error: ValidationError) -> Iterator[str]:
    for part in error.errors(include_url=False, include_input=False, include_context=False):
        place = str(part["loc"][0]) if part["loc"] else ""
        words = part["msg"].removeprefix("Value error, ")
        yield f"{place}: {words}" if place in COLUMNS else _without_place(part["type"], words)


def _without_place(kind: str, words: str) -> str:
    known = ", ".join(COLUMNS)
    return f"a name that is none of {known}" if kind == "extra_forbidden" else words


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _AmbiguousError
    return found


def _refuse_constant(_name: str) -> float:
    raise ValueError("not a number")
