"""Refusals as problems: the only place where reasons meet status codes."""

from typing import TypeVar, assert_never

from libs.web.problems import Problem
from services.policy.domain.refusals import Refusal, SubjectExists

Outcome = TypeVar("Outcome")


def accepted(outcome: Outcome | Refusal | SubjectExists) -> Outcome:
    """Return the outcome of a use case; raises a Problem where it is a refusal."""
    if isinstance(outcome, Refusal | SubjectExists):
        raise problem_of(outcome)
    return outcome


def problem_of(refusal: Refusal | SubjectExists) -> Problem:
    """Return the answer to a refused request."""
    match refusal:
        case SubjectExists(subject_ref=there):
            # The detail is the subject_ref and nothing else, for programs to read.
            answer = Problem(409, "subject_exists", "This subject exists already", str(there))
        case Refusal.UNKNOWN:
            answer = Problem(404, "not_found", "There is no such thing here")
        case Refusal.TOO_MANY_KEYS:
            answer = Problem(409, "too_many_keys", "Two keys of this mode are in force: revoke one")
        case Refusal.LAST_MANAGE_KEY:
            answer = Problem(409, "last_manage_key", "The tenant's last manage key has to stay")
        case Refusal.NO_FACTOR:
            answer = Problem(422, "no_factor", "A policy that requires a factor has to allow one")
        case Refusal.FACTOR_NOT_AVAILABLE:
            answer = Problem(422, "factor_not_available", "Factors that can be enrolled: totp")
        case Refusal.LABEL_TAKEN:
            answer = Problem(409, "label_taken", "Another subject of this tenant has this label")
        case Refusal.CLAIMED_BY_ANOTHER:
            answer = Problem(409, "claimed_by_another", "Another attempt has this claim")
        case Refusal.GONE:
            answer = Problem(410, "gone", "This is no longer available")
        case _:
            assert_never(refusal)
    return answer


def wrong_operator_key() -> Problem:
    """Return the answer to whoever is not the operator."""
    return Problem(401, "unauthenticated", "The operator's key is needed")


def not_a_public_key() -> Problem:
    """Return the answer to a service that sends no key to write to."""
    return Problem(422, "malformed_request", "public_key is not an X25519 key in base64")


def too_many_subjects() -> Problem:
    """Return the answer to a service that asks for too many names."""
    return Problem(422, "malformed_request", "At most 500 subjects are named at once")
