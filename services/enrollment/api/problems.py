"""Where reasons meet status codes; a Problem is made anew each time, as exceptions must be."""

from collections.abc import Mapping
from typing import TypeVar, assert_never

from contracts.decisions import DisablingRefused
from libs.web.problems import Problem
from services.enrollment.domain.refusals import Refusal, StaysOn, WrongCode

Outcome = TypeVar("Outcome")
_Answer = tuple[int, str, str]

_UNKNOWN = (404, "not_found", "There is no such thing here")
_SUBJECT_UNKNOWN = (404, "subject_unknown", "There is no such subject")
_POLICY_UNKNOWN = (503, "policy_unknown", "The application's policy has not arrived yet")
_POLICY_UNAVAILABLE = (503, "policy_unavailable", "Subjects cannot be looked up right now")
_NOT_ALLOWED = (403, "factor_not_allowed", "The application's policy does not allow this factor")
_TOO_MANY = (409, "too_many_authenticators", "The subject has 5 authenticators: remove one first")
_GONE = (410, "gone", "This is no longer available")
_CONFIRMED = (409, "already_confirmed", "The enrollment was confirmed before")
_STAYS_ON: Mapping[DisablingRefused, _Answer] = {
    DisablingRefused.MANDATORY: (
        *(409, "mandatory"),
        "A second step is mandatory for this subject: reset it instead",
    ),
    DisablingRefused.NOT_ALLOWED: (
        *(403, "not_allowed_to_disable"),
        "The tenant's rules leave switching it off to somebody else",
    ),
}
_CLAIMED = (409, "claimed_by_another", "Another attempt has this credential")


def not_a_public_key() -> Problem:
    """Return the answer to a claim that nothing can be sealed to."""
    return Problem(422, "malformed_request", "public_key is not an X25519 key in base64")


def accepted(outcome: Outcome | Refusal | WrongCode | StaysOn) -> Outcome:
    """Return the outcome of a use case; raises a Problem where it is a refusal."""
    if isinstance(outcome, StaysOn):
        raise Problem(*_STAYS_ON[outcome.because])
    if isinstance(outcome, Refusal):
        status, code, title = _answer_to(outcome)
        raise Problem(status, code, title, retry_after=1 if status == 503 else None)
    if isinstance(outcome, WrongCode):
        # The detail is the number of tries left and nothing else, for programs to read.
        left = str(outcome.tries_left)
        raise Problem(403, "wrong_code", "The code is not the current one", detail=left)
    return outcome


def _answer_to(refusal: Refusal) -> _Answer:
    match refusal:
        case Refusal.UNKNOWN:
            answer = _UNKNOWN
        case Refusal.SUBJECT_UNKNOWN:
            answer = _SUBJECT_UNKNOWN
        case Refusal.POLICY_UNKNOWN:
            answer = _POLICY_UNKNOWN
        case Refusal.POLICY_UNREACHABLE:
            answer = _POLICY_UNAVAILABLE
        case Refusal.FACTOR_NOT_ALLOWED:
            answer = _NOT_ALLOWED
        case Refusal.TOO_MANY_AUTHENTICATORS:
            answer = _TOO_MANY
        case Refusal.GONE:
            answer = _GONE
        case Refusal.ALREADY_CONFIRMED:
            answer = _CONFIRMED
        case Refusal.CLAIMED_BY_ANOTHER:
            answer = _CLAIMED
        case _:
            assert_never(refusal)
    return answer
