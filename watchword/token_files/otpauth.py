"""Lists of otpauth URIs, one a line (Google's Key URI format).

https://github.com/google/google-authenticator/wiki/Key-Uri-Format
"""

from collections.abc import Iterator
from typing import TextIO
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from contracts.vocabulary import Factor
from watchword.token_files.tokens import (
    DEFAULT_DIGITS,
    DEFAULT_PERIOD,
    Read,
    RowError,
    Token,
    algorithm_of,
    factor_of,
    number_of,
    secret_of_base32,
    usable,
)

_LONGEST_LINE = 8 * 1024
_MOST_PARAMETERS = 20


def read_otpauth(text: TextIO) -> Iterator[Read]:
    """Yield the rows; empty lines are none."""
    for row, line in enumerate(lines_of(text, longest=_LONGEST_LINE), start=1):
        try:
            yield Read(row, usable(_token(line)))
        except RowError as error:
            yield Read(row, reason=str(error))


def lines_of(text: TextIO, *, longest: int) -> Iterator[str]:
    """Yield the lines that have something, without white space around it."""
    while line := text.readline(longest):
        if stripped := line.strip():
            yield stripped


def query_of(uri: str, scheme: str) -> tuple[SplitResult, dict[str, str]]:
    """Return the parts of a URI of this scheme; raises RowError for anything else."""
    try:
        parts = urlsplit(uri)
        pairs = parse_qsl(parts.query, strict_parsing=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise RowError("not a URI that can be read") from None
    if parts.scheme != scheme:
        raise RowError(f"not a URI of the form {scheme}://")
    said = dict(pairs)
    if len(said) < len(pairs):
        raise RowError("a parameter stands there twice")
    return parts, said


def account_of(label: str) -> str | None:
    """Return whose account a label names: what stands behind the issuer and the first colon."""
    issuer, colon, account = label.partition(":")
    return (account if colon else issuer).strip() or None


def _token(uri: str) -> Token:
    parts, said = query_of(uri, "otpauth")
    factor = factor_of(parts.netloc)
    if factor is Factor.HOTP and "counter" not in said:
        raise RowError("counter: is missing")
    return Token(
        factor=factor,
        secret=secret_of_base32(said.get("secret", "")),
        algorithm=algorithm_of(said.get("algorithm", "SHA1")),
        digits=number_of(said.get("digits", str(DEFAULT_DIGITS)), "digits"),
        period=number_of(said.get("period", str(DEFAULT_PERIOD)), "period"),
        counter=number_of(said.get("counter", "0"), "counter"),
        account=account_of(unquote(parts.path.removeprefix("/"))),
    )
