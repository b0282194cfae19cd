"""Refusals of imports and of the stock as problems."""

from collections.abc import Mapping
from typing import TypeVar

from libs.web.problems import Problem
from services.enrollment.domain.import_refusals import ImportRefusal, Unreadable

Outcome = TypeVar("Outcome")

_ANSWERS: Mapping[ImportRefusal, tuple[int, str, str]] = {
    ImportRefusal.UNKNOWN: (404, "not_found", "There is no such thing here"),
    ImportRefusal.OTHER_PART: (409, "other_part", "Another content came under this number"),
    ImportRefusal.PART_MISSING: (409, "part_missing", "A part before this one is missing"),
    ImportRefusal.ROWS_MISSING: (409, "rows_missing", "Not as many rows came as `rows` says"),
    ImportRefusal.IMPORT_CLOSED: (409, "import_closed", "The import is too far for that"),
    ImportRefusal.TOO_MANY_IMPORTS: (
        *(409, "too_many_imports"),
        "Too many imports are open: finish or cancel one",
    ),
    ImportRefusal.TOKEN_ASSIGNED: (
        *(409, "token_assigned"),
        "Somebody has this token: remove the authenticator",
    ),
}


def taken(outcome: Outcome | ImportRefusal | Unreadable) -> Outcome:
    """Return the outcome of a use case; raises a Problem where it is a refusal."""
    if isinstance(outcome, Unreadable):
        raise Problem(
            *(422, "unreadable_part", "The part cannot be split into rows"),
            errors=outcome.mistakes,
        )
    if isinstance(outcome, ImportRefusal):
        raise Problem(*_ANSWERS[outcome])
    return outcome
