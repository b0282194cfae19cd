"""Where reasons meet status codes."""

from contracts.vocabulary import Scope
from libs.web.problems import Problem
from services.verification.domain.outcome import Refused


def authority_down() -> Problem:
    return Problem(
        503,
        "authority_unavailable",
        "Codes cannot be judged right now; repeat with the same Idempotency-Key",
        retry_after=1,
    )


def clock_off() -> Problem:
    title = "The clock of this node is off; another node, or this one soon, can answer"
    return Problem(503, "clock_off", title, retry_after=1)


def overloaded() -> Problem:
    return Problem(503, "overloaded", "Too much at once; nothing was judged", retry_after=1)


def too_many_at_once() -> Problem:
    title = "Your organisation asks too much at once; nothing was judged"
    return Problem(429, "too_many_requests", title, retry_after=1)


def policy_unknown() -> Problem:
    title = "The application's policy has not arrived yet"
    return Problem(503, "policy_unknown", title, retry_after=1)


def key_reused() -> Problem:
    title = "The Idempotency-Key was used for another request"
    return Problem(422, "idempotency_key_reused", title)


def nothing_to_skip() -> Problem:
    title = "There is nothing that could be put off: ask for a decision"
    return Problem(409, "nothing_to_skip", title)


def may_not_explain() -> Problem:
    return Problem(
        403, "missing_scope", "The application key lacks a scope", detail=Scope.VERIFY_REASONS
    )


def no_such_subject() -> Problem:
    return Problem(404, "not_found", "There is nobody of this name here")


def no_such_device() -> Problem:
    return Problem(404, "not_found", "There is no such thing here")


def unauthenticated() -> Problem:
    return Problem(401, "unauthenticated", "A valid application key is needed")


def not_verified(refused: Refused, *, reasons: bool) -> Problem:
    """Return one answer for every refusal; only callers with verify:reasons hear more."""
    if not reasons:
        return Problem(403, "not_verified", "The code was not accepted")
    wait = int(refused.wait.total_seconds()) + 1 if refused.wait is not None else None
    return Problem(
        403,
        "not_verified",
        "The code was not accepted",
        detail=refused.why.value,
        retry_after=wait,
    )
