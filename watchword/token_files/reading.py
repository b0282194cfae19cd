"""Which kind of file it is, by what it begins with, and its rows."""

import io
from collections.abc import Iterator
from enum import StrEnum
from typing import BinaryIO

from watchword.token_files.google import read_google
from watchword.token_files.oath_csv import read_oath_csv
from watchword.token_files.otpauth import read_otpauth
from watchword.token_files.pskc import read_pskc
from watchword.token_files.pskc_keys import Unlocking
from watchword.token_files.tokens import MOST_ROWS, Read, TokenFileError

_BEGINNING = 4 * 1024


class TokenFile(StrEnum):
    """How a file is written."""

    PSKC = "pskc"
    OATH_CSV = "oath-csv"
    OTPAUTH = "otpauth"
    GOOGLE = "google"


_READERS = {
    TokenFile.OATH_CSV: read_oath_csv,
    TokenFile.OTPAUTH: read_otpauth,
    TokenFile.GOOGLE: read_google,
}


def kind_of(file: BinaryIO) -> TokenFile:
    """Return what a file looks like, which goes on from where it was."""
    at = file.tell()
    start = file.read(_BEGINNING).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(at)
    if start.startswith(b"<"):
        return TokenFile.PSKC
    if start.startswith(b"otpauth-migration:"):
        return TokenFile.GOOGLE
    return TokenFile.OTPAUTH if start.startswith(b"otpauth:") else TokenFile.OATH_CSV


def read_tokens(
    file: BinaryIO, kind: TokenFile, unlocking: Unlocking, *, allow_plain: bool = False
) -> Iterator[Read]:
    """Yield the rows of a file; raises TokenFileError."""
    for read in _rows(file, kind, unlocking, allow_plain=allow_plain):
        if read.row > MOST_ROWS:
            raise TokenFileError(f"more than {MOST_ROWS} rows: import it in pieces")
        yield read


def _rows(
    file: BinaryIO, kind: TokenFile, unlocking: Unlocking, *, allow_plain: bool
) -> Iterator[Read]:
    if kind is TokenFile.PSKC:
        yield from read_pskc(file, unlocking, allow_plain=allow_plain)
        return
    text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline=None)
    try:
        yield from _READERS[kind](text)
    finally:
        # Who opened the file closes it.
        text.detach()
