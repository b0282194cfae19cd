"""Where reasons meet status codes; a Problem is made anew each time, as exceptions must be."""

import math
from collections.abc import Mapping
from typing import TypeVar

from contracts.decisions import DisablingRefused
from libs.web.problems import Problem
from services.enrollment.domain.refusals import ProofRefused, Refusal, StaysOn, TooSoon, WrongCode

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
    Refusal.TOKEN_UNKNOWN: (404, "token_unknown", "No token in stock has this serial"),
    Refusal.TOKEN_ASSIGNED: (409, "token_assigned", "Somebody has this token"),
    Refusal.SHARED_MAILBOX: (
        *(403, "shared_mailbox"),
        "The login address looks like one of several people, and the tenant refuses these",
    ),
    Refusal.NO_ADDRESS: (409, "no_address", "The subject has no address to send a code to"),
    Refusal.EMAIL_CODE_REQUIRED: (
        *(403, "email_code_required"),
        "The rules ask for a code that is sent to the login address first",
    ),
    Refusal.EMAIL_CODE_GONE: (
        *(403, "email_code_gone"),
        "No code to the login address is good any more: have another one sent",
    ),
    Refusal.NO_NUMBER: (422, "not_a_number", "This is no telephone number that is in use"),
    Refusal.NO_REGION: (
        *(422, "region_needed"),
        "The number has no country code: send it with +, or say the region",
    ),
    Refusal.NUMBER_NOT_FOR_THIS: (
        *(422, "number_not_usable"),
        "No code can be sent to a number of this kind",
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
    Refusal.PASSKEYS_NOT_SET_UP: (
        *(409, "passkeys_not_set_up"),
        "The application does not say where it uses passkeys",
    ),
    Refusal.ALREADY_ENROLLED: (
        *(409, "already_enrolled"),
        "This passkey is, or was, enrolled in this tenant",
    ),
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


def accepted(outcome: Outcome | Refusal | WrongCode | ProofRefused | TooSoon | StaysOn) -> Outcome:
    """Return the outcome of a use case; raises a Problem where it is a refusal."""
    if isinstance(outcome, StaysOn):
        raise Problem(*_STAYS_ON[outcome.because])
    if isinstance(outcome, Refusal):
        status, code, title = _ANSWERS[outcome]
        raise Problem(status, code, title, retry_after=1 if status == 503 else None)
    if isinstance(outcome, TooSoon):
        wait = math.ceil(outcome.wait.total_seconds())
        raise Problem(429, "too_many_codes", "Another code can be sent later", retry_after=wait)
    if isinstance(outcome, WrongCode):
        # The detail is the number of tries left and nothing else, for programs to read.
        left = str(outcome.tries_left)
        raise Problem(403, "wrong_code", "The code is not the current one", detail=left)
    if isinstance(outcome, ProofRefused):
        title = "This shows no passkey that was made for these options by somebody who was verified"
        raise Problem(403, "proof_refused", title, detail=str(outcome.tries_left))
    return outcome
