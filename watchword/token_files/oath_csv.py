"""OATH CSV, as privacyIDEA and others write it: serial, seed, type, length, step or counter.

The seed is hexadecimal, or else base32. A header may name the columns, in any order, and some more.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from contracts.vocabulary import Factor
from watchword.token_files.tokens import (
    DEFAULT_DIGITS,
    DEFAULT_PERIOD,
    Read,
    RowError,
    Token,
    TokenFileError,
    algorithm_of,
    factor_of,
    number_of,
    secret_of_base32,
    usable,
)

_POSITIONS = ("serial", "seed", "type", "length", "moving", "subject")
_COLUMNS = {*_POSITIONS, "step", "counter", "algorithm"}
_OTHER_NAMES = {"secret": "seed", "digits": "length", "period": "step"}
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF")
_SHORTEST = 3
_LONGEST_LINE = 64 * 1024


def read_oath_csv(text: TextIO) -> Iterator[Read]:
    """Yield the rows; lines that are empty or begin with # are none."""
    records = csv.reader(_lines(text), strict=True)
    columns: Sequence[str] | None = None
    row = 0
    try:
        for record in records:
            cells = [cell.strip() for cell in record]
            if columns is None:
                columns, is_header = _columns_of(cells)
                if is_header:
                    continue
            row += 1
            yield _read(row, cells, columns)
    except csv.Error:
        raise TokenFileError(f"row {row + 1}: quotation marks are not as RFC 4180 wants") from None


def _lines(text: TextIO) -> Iterator[str]:
    # A line of a hundred megabytes is no row.
    while line := text.readline(_LONGEST_LINE):
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.replace("\0", "\ufffd")


def _columns_of(cells: Sequence[str]) -> tuple[Sequence[str], bool]:
    names = [_OTHER_NAMES.get(cell.lower(), cell.lower()) for cell in cells]
    if "seed" not in names:
        return _POSITIONS, False
    if len(set(names)) < len(names) or not set(names) <= _COLUMNS:
        known = ", ".join(sorted(_COLUMNS - {"moving"}))
        raise TokenFileError(f"header: a column is there twice, or none of {known}")
    return names, True


def _read(row: int, cells: Sequence[str], columns: Sequence[str]) -> Read:
    try:
        if len(cells) > len(columns):
            raise RowError("more cells than columns")
        if columns is _POSITIONS and len(cells) < _SHORTEST:
            raise RowError("serial, seed and type are needed")
        said = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
        return Read(row, usable(_token(said)))
    except RowError as error:
        return Read(row, reason=str(error))


def _token(said: Mapping[str, str]) -> Token:
    factor = factor_of(said.get("type", ""))
    step, counter = said.get("step"), said.get("counter")
    if factor is Factor.TOTP:
        step = step or said.get("moving")
    else:
        counter = counter or said.get("moving")
    return Token(
        factor=factor,
        secret=_secret(said.get("seed", "")),
        algorithm=algorithm_of(said.get("algorithm", "SHA1")),
        digits=number_of(said.get("length", str(DEFAULT_DIGITS)), "length"),
        period=number_of(step or str(DEFAULT_PERIOD), "step"),
        counter=number_of(counter or "0", "counter"),
        serial=said.get("serial"),
        subject=said.get("subject"),
    )


def _secret(seed: str) -> bytes:
    if set(seed) <= _HEXADECIMAL and len(seed) % 2 == 0:
        return bytes.fromhex(seed)
    return secret_of_base32(seed)
