"""Where reasons meet status codes; a Problem is made anew each time, as exceptions must be."""

from collections.abc import Mapping
from typing import TypeVar

from contracts.decisions import DisablingRefused
from libs.web.problems import Problem
from services.enrollment.domain.refusals import Refusal, StaysOn, WrongCode

Outcome = TypeVar("Outcome")
_Answer = tuple[int, str, str]

_ANSWERS: Mapping[Refusal, _Answer] = {
    Refusal.UNKNOWN: (404, "not_found", "There is no such thing here"),
    Refusal.SUBJECT_UNKNOWN: (404, "subject_unknown", "There is no such subject"),
    Refusal.POLICY_UNKNOWN: (
        *(503, "policy_unknown"),
        "The application's policy has not arrived yet",
    ),
    Refusal.POLICY_UNREACHABLE: (
        *(503, "policy_unavailable"),
        "Subjects cannot be looked up right now",
    ),
    Refusal.VERIFICATION_UNREACHABLE: (
        *(503, "verification_unavailable"),
        "The receipt cannot be checked right now",
    ),
    Refusal.FACTOR_NOT_ALLOWED: (
        *(403, "factor_not_allowed"),
        "The application's policy does not allow this factor",
    ),
    Refusal.WEAK_PIN: (
        *(422, "weak_pin"),
        "The PIN is among those that are guessed first: a row, a repetition, a date",
    ),
    Refusal.TOO_MANY_AUTHENTICATORS: (
        *(409, "too_many_authenticators"),
        "The subject has as many authenticators as may be: remove one first",
    ),
    Refusal.NOT_PRESENT: (
        *(403, "present_factor_required"),
        "The subject has a second factor: have it verified, and send the receipt",
    ),
    Refusal.RECEIPT_REFUSED: (
        *(403, "receipt_refused"),
        "The receipt is not one of this subject and application, too old, or was used",
    ),
    Refusal.MALFORMED_CODE: (
        *(422, "malformed_request"),
        "The code has not the form that this factor's codes have",
    ),
    Refusal.GONE: (410, "gone", "This is no longer available"),
    Refusal.ALREADY_CONFIRMED: (
        *(409, "already_confirmed"),
        "The enrollment was confirmed before",
    ),
    Refusal.CLAIMED_BY_ANOTHER: (
        *(409, "claimed_by_another"),
        "Another attempt has this credential",
    ),
}
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


def not_a_public_key() -> Problem:
    """Return the answer to a claim that nothing can be sealed to."""
    return Problem(422, "malformed_request", "public_key is not an X25519 key in base64")


def accepted(outcome: Outcome | Refusal | WrongCode | StaysOn) -> Outcome:
    """Return the outcome of a use case; raises a Problem where it is a refusal."""
    if isinstance(outcome, StaysOn):
        raise Problem(*_STAYS_ON[outcome.because])
    if isinstance(outcome, Refusal):
        status, code, title = _ANSWERS[outcome]
        raise Problem(status, code, title, retry_after=1 if status == 503 else None)
    if isinstance(outcome, WrongCode):
        # The detail is the number of tries left and nothing else, for programs to read.
        left = str(outcome.tries_left)
        raise Problem(403, "wrong_code", "The code is not the current one", detail=left)
    return outcome
