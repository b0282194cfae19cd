"""What Google Authenticator's export shows as QR codes: otpauth-migration://offline?data=...

The data is a protobuf message, MigrationPayload, that Google does not document: field 1 holds
OtpParameters (1 secret, 2 name, 3 issuer, 4 algorithm, 5 digits, 6 type, 7 counter), fields 3 to 5
are the size, index and id of the batch.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from contracts.vocabulary import Algorithm, Factor
from watchword.token_files.otpauth import account_of, lines_of, query_of
from watchword.token_files.tokens import Read, RowError, Token, TokenFileError, usable

# A QR code holds less.
_LONGEST_LINE = 64 * 1024
_MOST_BATCHES = 1000
_ALGORITHMS = {0: Algorithm.SHA1, 1: Algorithm.SHA1, 2: Algorithm.SHA256, 3: Algorithm.SHA512}
_DIGITS = {0: 6, 1: 6, 2: 8}
_FACTORS = {1: Factor.HOTP, 2: Factor.TOTP}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10

Fields = list[tuple[int, int | bytes]]


class _BrokenError(Exception):
    """Not a protobuf message."""


@dataclass
class _Batches:
    """Which parts of an export have come, by the export's id."""

    size: dict[int, int] = field(default_factory=dict)
    come: dict[int, dict[int, Fields]] = field(default_factory=dict)
    # Complete exports that name no id.
    whole: list[Fields] = field(default_factory=list)

    def is_new(self, fields: Fields) -> bool:
        """Take note of a part; False where it came before."""
        said = {number: value for number, value in fields if isinstance(value, int)}
        size, index, export = said.get(3, 1), said.get(4, 0), said.get(5, 0)
        if not 0 <= index < max(size, 1) <= _MOST_BATCHES:
            raise _BrokenError
        if size <= 1:
            new = fields not in self.whole
            self.whole.append(fields)
            return new
        come = self.come.setdefault(export, {})
        if index in come and come[index] != fields:
            # Two parts of one number: one of them would be lost.
            raise _BrokenError
        new = index not in come
        come[index], self.size[export] = fields, size
        return new

    def missing(self) -> int:
        """Return how many parts did not come."""
        return sum(size - len(self.come[export]) for export, size in self.size.items())


def read_google(text: TextIO) -> Iterator[Read]:
    """Yield the accounts of all parts, one URI a line; raises where a part of an export is missing.

    A part that stands there twice is read once.
    """
    batches, row = _Batches(), 0
    for number, line in enumerate(lines_of(text, longest=_LONGEST_LINE), start=1):
        try:
            fields = _fields(_data(line))
            new = batches.is_new(fields)
        except (_BrokenError, RowError):
            raise TokenFileError(f"line {number}: not an export that can be read") from None
        for field_number, value in fields if new else ():
            if field_number == 1 and isinstance(value, bytes):
                row += 1
                yield _read(row, value)
    if missing := batches.missing():
        raise TokenFileError(f"parts of the export are missing: {missing}")


def _data(line: str) -> bytes:
    parts, said = query_of(line.replace("+", "%2B"), "otpauth-migration")
    if parts.netloc != "offline":
        raise _BrokenError
    try:
        return b64decode(said.get("data", "").replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raise _BrokenError from None


def _read(row: int, content: bytes) -> Read:
    try:
        return Read(row, usable(_token(dict(_fields(content)))))
    except _BrokenError:
        return Read(row, reason="not an account that can be read")
    except RowError as error:
        return Read(row, reason=str(error))


def _token(said: Mapping[int, int | bytes]) -> Token:
    secret, name = said.get(1, b""), said.get(2, b"")
    algorithm, digits, kind, counter = (_number(said, at) for at in (4, 5, 6, 7))
    if not isinstance(secret, bytes) or not isinstance(name, bytes):
        raise _BrokenError
    if algorithm not in _ALGORITHMS:
        raise RowError("algorithm: none of SHA1, SHA256, SHA512")
    if digits not in _DIGITS or kind not in _FACTORS:
        raise RowError("digits or type: unknown")
    return Token(
        factor=_FACTORS[kind],
        secret=secret,
        algorithm=_ALGORITHMS[algorithm],
        digits=_DIGITS[digits],
        counter=counter,
        account=account_of(name.decode("utf-8", "replace")),
    )


def _number(said: Mapping[int, int | bytes], at: int) -> int:
    value = said.get(at, 0)
    if not isinstance(value, int):
        raise _BrokenError
    return value


def _fields(content: bytes) -> Fields:
    """Split a message (protobuf's wire format) into field numbers and values."""
    at, found = 0, Fields()
    while at < len(content):
        tag, at = _varint(content, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            found.append((number, value))
            continue
        length = _FIXED.get(kind, 0)
        if kind == _BYTES:
            length, at = _varint(content, at)
        elif not length:
            raise _BrokenError
        if at + length > len(content):
            raise _BrokenError
        found.append((number, content[at : at + length]))
        at += length
    return found


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(content[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise _BrokenError
