"""A file of subjects in parts of whole rows, the same each time: so an import can go on."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

PART_BYTES = 256 * 1024
_LARGEST_PART = 1024 * 1024
_BLOCK = 1024 * 1024


class UncutFileError(Exception):
    """A file cannot be cut into parts; the text says where."""


def digest_of(file: Path) -> str:
    """Return SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def parts_of(file: Path, kind: str, *, size: int = PART_BYTES) -> Iterator[bytes]:
    """Yield the parts of a file, of about this size; raises UncutFileError."""
    with file.open("rb") as opened:
        rows = _quoted_rows(opened) if kind == "csv" else iter(opened)
        part: list[bytes] = []
        length = 0
        for number, row in enumerate(rows, start=1):
            if len(row) > _LARGEST_PART:
                raise UncutFileError(f"record {number}: longer than a part can be")
            if part and length + len(row) > size:
                yield b"".join(part)
                part, length = [], 0
            part.append(row)
            length += len(row)
        if part:
            yield b"".join(part)


def _quoted_rows(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the records of a CSV: line breaks between quotation marks end none (RFC 4180)."""
    record, quotes = b"", 0
    for line in lines:
        record += line
        quotes += line.count(b'"')
        # Too long is said by who cuts the parts, before everything is in memory.
        if quotes % 2 == 0 or len(record) > _LARGEST_PART:
            yield record
            record, quotes = b"", 0
    if record:
        yield record
