"""Where reasons meet status codes."""

from typing import assert_never

from libs.web.problems import Problem
from services.recovery.domain.outcome import AcknowledgeRefused, IssueRefused, RecoveryRefused


def ticket_invalid() -> Problem:
    title = "The ticket is not valid, or not any more"
    return Problem(403, "ticket_invalid", title, detail="confirm an enrollment to get a new one")


def not_issued(_refused: IssueRefused) -> Problem:
    return Problem(409, "already_acknowledged", "The ticket's recovery key was acknowledged")


def not_acknowledged(refused: AcknowledgeRefused) -> Problem:
    match refused:
        case AcknowledgeRefused.UNKNOWN:
            return Problem(404, "not_found", "There is no such recovery key")
        case AcknowledgeRefused.NEWER_KEY:
            title = "A newer key was made since: show that one"
            return Problem(409, "newer_key_issued", title)
        case _:
            assert_never(refused)


def not_recovered(refused: RecoveryRefused) -> Problem:
    match refused:
        case RecoveryRefused.WRONG_KEY:
            return Problem(403, "not_recovered", "The recovery key was not accepted")
        case RecoveryRefused.TOO_MANY_TRIES:
            title = "Too many tries; wait, or ask the service desk"
            return Problem(429, "too_many_tries", title, retry_after=3600)
        case _:
            assert_never(refused)


def unavailable() -> Problem:
    title = "Recovery cannot be done right now; the key is not spent"
    return Problem(503, "unavailable", title, retry_after=2)


def no_reset() -> Problem:
    return Problem(404, "not_found", "There is no such reset")
