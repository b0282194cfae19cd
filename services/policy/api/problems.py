"""Refusals as problems: the only place where reasons meet status codes."""

from collections.abc import Mapping
from typing import TypeVar

from libs.web.problems import Problem
from services.policy.domain.refusals import Mistakes, Refusal, SubjectExists, Unreadable

Outcome = TypeVar("Outcome")


def accepted(outcome: Outcome | Refusal | SubjectExists | Mistakes | Unreadable) -> Outcome:
    """Return the outcome of a use case; raises a Problem where it is a refusal."""
    if isinstance(outcome, Refusal | SubjectExists | Mistakes | Unreadable):
        raise problem_of(outcome)
    return outcome


_ANSWERS: Mapping[Refusal, tuple[int, str, str]] = {
    Refusal.UNKNOWN: (404, "not_found", "There is no such thing here"),
    Refusal.TOO_MANY_KEYS: (
        *(409, "too_many_keys"),
        "Two keys of this mode are in force: revoke one",
    ),
    Refusal.LAST_MANAGE_KEY: (
        *(409, "last_manage_key"),
        "The tenant's last manage key has to stay",
    ),
    Refusal.NO_FACTOR: (422, "no_factor", "A policy that requires a factor has to allow one"),
    Refusal.FACTOR_NOT_AVAILABLE: (
        *(422, "factor_not_available"),
        "Factors that can be enrolled: totp",
    ),
    Refusal.LABEL_TAKEN: (409, "label_taken", "Another subject of this tenant has this label"),
    Refusal.CLAIMED_BY_ANOTHER: (409, "claimed_by_another", "Another attempt has this claim"),
    Refusal.GONE: (410, "gone", "This is no longer available"),
    Refusal.OTHER_RULES_IN_FORCE: (
        *(409, "other_rules_in_force"),
        "Other rules are in force than `replaces` says",
    ),
    Refusal.OTHER_PART: (409, "other_part", "Another content came under this number"),
    Refusal.PART_MISSING: (409, "part_missing", "A part before this one is missing"),
    Refusal.ROWS_MISSING: (409, "rows_missing", "Not as many rows came as `rows` says"),
    Refusal.IMPORT_CLOSED: (409, "import_closed", "The import is too far for that"),
    Refusal.TOO_MANY_IMPORTS: (
        *(409, "too_many_imports"),
        "Too many imports are open: finish or cancel one",
    ),
}


def problem_of(refusal: Refusal | SubjectExists | Mistakes | Unreadable) -> Problem:
    """Return the answer to a refused request."""
    match refusal:
        case SubjectExists(subject_ref=there):
            # The detail is the subject_ref and nothing else, for programs to read.
            return Problem(409, "subject_exists", "This subject exists already", str(there))
        case Mistakes(words=words):
            return Problem(422, "mistakes", "The rules have mistakes", errors=words)
        case Unreadable(words=words):
            return Problem(422, "unreadable_part", "The part cannot be read", errors=words)
        case Refusal():
            return Problem(*_ANSWERS[refusal])


def wrong_operator_key() -> Problem:
    """Return the answer to whoever is not the operator."""
    return Problem(401, "unauthenticated", "The operator's key is needed")


def not_a_public_key() -> Problem:
    """Return the answer to a service that sends no key to write to."""
    return Problem(422, "malformed_request", "public_key is not an X25519 key in base64")


def too_many_subjects() -> Problem:
    """Return the answer to a service that asks for too many names."""
    return Problem(422, "malformed_request", "At most 500 subjects are named at once")


def too_many_surveys() -> Problem:
    """Return the answer to whoever asks for another look before the last one is over."""
    return Problem(429, "too_many_requests", "Another simulation of this tenant is running")
