"""From what was read to the rows that enrollment takes, in parts: the same each time."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.vocabulary import Factor
from watchword.token_files.tokens import Read, Token, TokenFileError, base32_of

PART_BYTES = 256 * 1024
# Stands for a row that cannot be used, so that numbers on both sides are those of the file.
_LEFT_OUT: Mapping[str, object] = {"refused": True}


@dataclass(frozen=True)
class Owners:
    """Whose tokens they are: by serial or account, or else the account is the subject."""

    by_name: Mapping[str, str]
    accounts_are_subjects: bool = False

    def of(self, token: Token) -> str | None:
        """Return the subject who has a token, where it is known."""
        if token.subject is not None:
            return token.subject
        for name in (token.serial, token.account):
            if name is not None and name in self.by_name:
                return self.by_name[name]
        return token.account if self.accounts_are_subjects else None


def read_owners(file: Path) -> dict[str, str]:
    """Return subjects by serial or account from a CSV of two columns."""
    owners: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            for number, row in enumerate(filter(None, csv.reader(opened, strict=True)), start=1):
                name, subject = (cell.strip() for cell in row)
                if owners.setdefault(name, subject) != subject:
                    raise TokenFileError(f"{file}: row {number}: two subjects for one token")
    except (ValueError, csv.Error):
        raise TokenFileError(f"{file}: not a CSV of token and subject") from None
    return owners


def row_of(read: Read, owners: Owners) -> bytes:
    """Return a row as enrollment takes it, as a line."""
    said = dict(_LEFT_OUT) if read.token is None else _said(read.token, owners)
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def parts_of(rows: Iterable[bytes], *, size: int = PART_BYTES) -> Iterator[bytes]:
    """Yield parts of whole rows, of at most this size."""
    part = bytearray()
    for row in rows:
        if part and len(part) + len(row) > size:
            yield bytes(part)
            part.clear()
        part += row
    if part:
        yield bytes(part)


def _said(token: Token, owners: Owners) -> dict[str, object]:
    said: dict[str, object | None] = {
        "factor": token.factor.value,
        "secret": base32_of(token.secret),
        "algorithm": token.algorithm.value,
        "digits": token.digits,
        "period": token.period if token.factor is Factor.TOTP else None,
        "counter": token.counter if token.factor is Factor.HOTP else None,
        "serial": token.serial,
        "subject": owners.of(token),
    }
    return {name: value for name, value in said.items() if value is not None}
