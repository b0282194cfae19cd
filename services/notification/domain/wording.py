"""How a moment, and a code, reads in the languages that messages exist in."""

from datetime import UTC, datetime
from typing import assert_never

from contracts.vocabulary import Language

_ENGLISH = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DUTCH = (
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
)


def in_groups(code: str) -> str:
    """Return a code as it is read and typed most easily, in groups of three."""
    return " ".join(code[start : start + 3] for start in range(0, len(code), 3))


def moment_in(language: Language, moment: datetime) -> str:
    """Return day and time in UTC, with our own months: a host may lack the locale."""
    utc = moment.astimezone(UTC)
    match language:
        case Language.ENGLISH:
            return f"{utc.day} {_ENGLISH[utc.month - 1]} {utc:%Y} at {utc:%H:%M} UTC"
        case Language.DUTCH:
            return f"{utc.day} {_DUTCH[utc.month - 1]} {utc:%Y} om {utc:%H:%M} uur UTC"
        case _:
            assert_never(language)
