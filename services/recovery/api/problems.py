"""Where reasons meet status codes."""

from typing import assert_never

from libs.web.problems import Problem
from services.recovery.domain.outcome import AcknowledgeRefused, IssueRefused


def ticket_invalid() -> Problem:
    title = "The ticket is not valid, or not any more"
    return Problem(403, "ticket_invalid", title, detail="confirm an enrollment to get a new one")


def not_issued(refused: IssueRefused) -> Problem:
    match refused:
        case IssueRefused.ACKNOWLEDGED:
            title = "The ticket's recovery key was acknowledged"
            return Problem(409, "already_acknowledged", title)
        case IssueRefused.TICKET_OUTDATED:
            return ticket_invalid()
        case _:
            assert_never(refused)


def not_acknowledged(refused: AcknowledgeRefused) -> Problem:
    match refused:
        case AcknowledgeRefused.UNKNOWN:
            return Problem(404, "not_found", "There is no such recovery key")
        case AcknowledgeRefused.NEWER_KEY:
            title = "A newer key was made since: show that one"
            return Problem(409, "newer_key_issued", title)
        case AcknowledgeRefused.USED:
            return Problem(409, "already_used", "The recovery key was used and is good no more")
        case _:
            assert_never(refused)


def not_recovered() -> Problem:
    # One answer for all reasons: another one for too many tries would tell who exists.
    return Problem(403, "not_recovered", "The recovery key was not accepted")


def unavailable() -> Problem:
    title = "Recovery cannot be done right now; the key is not spent"
    return Problem(503, "unavailable", title, retry_after=2)


def no_reset() -> Problem:
    return Problem(404, "not_found", "There is no such reset")
