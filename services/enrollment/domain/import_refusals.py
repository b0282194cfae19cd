"""The ways in which an import, or what is in stock, says no."""

from dataclasses import dataclass
from enum import Enum


class ImportRefusal(Enum):
    """What was asked cannot be done, and why."""

    UNKNOWN = "unknown"
    IMPORT_CLOSED = "import closed"
    TOO_MANY_IMPORTS = "too many imports"
    PART_MISSING = "part missing"
    OTHER_PART = "other part"
    ROWS_MISSING = "rows missing"
    TOKEN_ASSIGNED = "token assigned"  # noqa: S105 - the name of a refusal


@dataclass(frozen=True)
class Unreadable:
    """A part that cannot be split into rows; it is not kept. Nothing of it is quoted."""

    mistakes: tuple[str, ...]
