"""Rows of an import of authenticators as they come: JSON lines, in parts of whole rows."""

import json
from base64 import b32decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from contracts.credentials import is_complete
from contracts.subjects import SubjectName
from contracts.vocabulary import Algorithm, Factor
from services.enrollment.domain.import_refusals import Unreadable
from services.enrollment.domain.name import is_name

MOST_ROWS = 100_000
LONGEST_SECRET = 128
LARGEST_COUNTER = 2**53 - 2
_LONGEST_ROW = 4 * 1024
_MOST_ERRORS = 10
_DEFAULT_PERIOD = 30
_LEFT_OUT = {"refused": True}


def _secret(text: object) -> bytes:
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("not base32")
    try:
        secret = b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        raise ValueError("not base32") from None
    if len(secret) > LONGEST_SECRET:
        raise ValueError(f"longer than {LONGEST_SECRET} bytes")
    return secret


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("1 to 64 visible characters in NFC, no white space outside")
    return text


class TokenRow(BaseModel):
    """One secret, how its codes are made, and whose it is, if anybody's.

    `counter` is that of the next code; `serial` is what stands on a token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    factor: Literal[Factor.TOTP, Factor.HOTP]
    secret: Annotated[bytes, BeforeValidator(_secret), Field(repr=False)]
    algorithm: Algorithm = Algorithm.SHA1
    digits: Annotated[int, Field(strict=True)] = 6
    period: Annotated[int, Field(strict=True)] | None = None
    counter: Annotated[int, Field(strict=True, ge=0, le=LARGEST_COUNTER)] | None = None
    serial: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")] | None = None
    subject: Annotated[SubjectName | None, Field(repr=False)] = None
    name: Annotated[Annotated[str, AfterValidator(_name)] | None, Field(repr=False)] = None

    @model_validator(mode="after")
    def _is_taken_by_verification(self) -> Self:
        if self.factor is Factor.TOTP and self.counter is not None:
            raise ValueError("a counter is hotp's")
        if self.factor is Factor.HOTP and self.period is not None:
            raise ValueError("a period is totp's")
        if not is_complete(
            self.factor,
            b64encode(self.secret).decode(),
            algorithm=self.algorithm,
            digits=self.digits,
            period=self.step,
            codes=(),
        ):
            raise ValueError("secret of 128 bits or more, 6 to 8 digits, period of 15 to 120 s")
        return self

    @property
    def step(self) -> int | None:
        """Return how long a code of totp lasts, in seconds."""
        if self.factor is Factor.HOTP:
            return None
        return self.period if self.period is not None else _DEFAULT_PERIOD

    @property
    def next_counter(self) -> int | None:
        """Return of which counter the next code of hotp is."""
        return None if self.factor is Factor.TOTP else self.counter or 0

    @property
    def content(self) -> bytes:
        """Return all that makes two rows the same, but for the name that somebody gave it."""
        said = (self.factor, self.algorithm, self.digits, self.step, self.next_counter)
        return json.dumps([*said, self.secret.hex(), self.serial, self.subject]).encode()


@dataclass(frozen=True)
class Row:
    """What a row says, or what is wrong with it; no error quotes a value."""

    number: int
    body: TokenRow | None = field(default=None, repr=False)
    errors: tuple[str, ...] = ()


def read_part(content: bytes, *, before: int) -> Sequence[str] | Unreadable:
    """Split a part into rows; `before` is how many came in the parts before this one."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return Unreadable((f"after row {before}: not UTF-8",))
    rows = [line for line in text.split("\n") if line.strip()]
    if before + len(rows) > MOST_ROWS:
        return Unreadable((f"an import has at most {MOST_ROWS} rows",))
    for number, row in enumerate(rows, start=before + 1):
        if len(row) > _LONGEST_ROW:
            return Unreadable((f"row {number}: longer than {_LONGEST_ROW} characters",))
    return rows


def read_row(row: str, number: int) -> Row:
    """Look into a row; `{"refused": true}` stands for one that its sender could not use."""
    try:
        said: object = json.loads(row, object_pairs_hook=_refuse_twice)
        if said == _LEFT_OUT:
            return Row(number, errors=("left out by its sender",))
        return Row(number, TokenRow.model_validate(said))
    except ValidationError as error:
        return Row(number, errors=tuple(dict.fromkeys(_words(error)))[:_MOST_ERRORS])
    except (ValueError, RecursionError):
        return Row(number, errors=("not a JSON object, or a name stands twice",))


def _words(error: ValidationError) -> Iterator[str]:
    known = TokenRow.model_fields
    for part in error.errors(include_url=False, include_input=False, include_context=False):
        place = str(part["loc"][0]) if part["loc"] else ""
        words = part["msg"].removeprefix("Value error, ")
        if place in known:
            yield f"{place}: {words}"
        else:
            yield "a name that is not known" if part["type"] == "extra_forbidden" else words


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
