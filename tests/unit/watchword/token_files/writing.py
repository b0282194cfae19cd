"""Files of tokens, written by others' code or by hand."""

import io
from base64 import b64encode
from urllib.parse import quote

import pskc

from contracts.vocabulary import Factor
from watchword.token_files.pskc_keys import Unlocking
from watchword.token_files.reading import TokenFile, read_tokens
from watchword.token_files.tokens import Read, Token

SECRET = b"12345678901234567890"
NONE = Unlocking()


def read(
    content: str | bytes, kind: TokenFile, unlocking: Unlocking = NONE, *, allow_plain: bool = False
) -> list[Read]:
    encoded = content if isinstance(content, bytes) else content.encode()
    return list(read_tokens(io.BytesIO(encoded), kind, unlocking, allow_plain=allow_plain))


def only_token(rows: list[Read]) -> Token:
    [row] = rows
    assert row.token is not None, row.reason
    return row.token


def reasons(rows: list[Read]) -> list[str]:
    return [row.reason or "" for row in rows]


def pskc_file(*tokens: Token) -> pskc.PSKC:
    """Return a file that python-pskc makes, without any encryption."""
    made = pskc.PSKC()
    for number, token in enumerate(tokens):
        key = made.add_key(
            id=f"key-{number}",
            serial=token.serial,
            secret=token.secret,
            algorithm=f"urn:ietf:params:xml:ns:keyprov:pskc:{token.factor}",
            algorithm_suite=f"HMAC-{token.algorithm}",
            response_length=token.digits,
            response_encoding="DECIMAL",
        )
        if token.factor is Factor.TOTP:
            key.time_interval = token.period
            key.time_offset = 0
        else:
            key.counter = token.counter
    return made


def written(made: pskc.PSKC) -> bytes:
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()


def google_uri(payload: bytes) -> str:
    return "otpauth-migration://offline?data=" + quote(b64encode(payload).decode(), safe="")


def varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def account(
    secret: bytes = SECRET,
    name: str = "Acme:anna@example.org",
    *,
    algorithm: int = 1,
    digits: int = 1,
    kind: int = 2,
    counter: int = 0,
) -> bytes:
    """Return OtpParameters as field 1 of a payload."""
    content = b"".join(
        (
            *(b"\x0a", varint(len(secret)), secret),
            *(b"\x12", varint(len(name.encode())), name.encode()),
            *(b"\x1a\x04Acme", b"\x20", varint(algorithm), b"\x28", varint(digits)),
            *(b"\x30", varint(kind), b"\x38", varint(counter)),
        )
    )
    return b"\x0a" + varint(len(content)) + content


def batch(*accounts: bytes, size: int = 1, index: int = 0, export: int = 7) -> bytes:
    head = b"\x10\x01\x18" + varint(size) + b"\x20" + varint(index) + b"\x28" + varint(export)
    return b"".join(accounts) + head
