"""What becomes of a message after a try: the rule that keeps it from going out twice."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from services.notification.domain.message import Reason, Status

# What happened longer ago is news to nobody, and a replayed topic is full of it.
NEWS_FOR = timedelta(hours=24)

_FIRST_WAIT = timedelta(seconds=2)
# Greylisting servers let a second try in after five to fifteen minutes.
_LONGEST_WAIT = timedelta(minutes=10)


class Delivery(StrEnum):
    """How a try to hand a message over went.

    `not_taken` and `refused` are certain: the server has said no, or never saw the content.
    """

    TAKEN = "taken"
    NOT_TAKEN = "not_taken"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True)
class Ended:
    """The message is never touched again."""

    status: Status
    reason: Reason | None


@dataclass(frozen=True)
class Later:
    """The message was surely not sent, and is tried again."""

    wait: timedelta


NextStep = Ended | Later


def is_too_old(until: datetime, now: datetime) -> bool:
    """Tell whether a message is no news any more."""
    return now >= until


def wait_after(tries: int) -> timedelta:
    """Return how long to wait after so many tries: twice as long each time, up to a limit."""
    growth: int = 2 ** min(max(tries, 1) - 1, 20)
    return min(_LONGEST_WAIT, _FIRST_WAIT * growth)


def try_again(*, tries: int, until: datetime, now: datetime) -> NextStep:
    """Decide about a message that was surely not sent: later, or never once it is no news."""
    wait = wait_after(tries)
    if is_too_old(until, now + wait):
        return Ended(Status.FAILED, Reason.GAVE_UP)
    return Later(wait)


def after(delivery: Delivery, *, tries: int, until: datetime, now: datetime) -> NextStep:
    """Decide about a message that was handed to a server: what may be there is not repeated."""
    match delivery:
        case Delivery.TAKEN:
            return Ended(Status.SENT, None)
        case Delivery.NO_ANSWER:
            return Ended(Status.UNKNOWN, Reason.NO_ANSWER)
        case Delivery.REFUSED:
            return Ended(Status.FAILED, Reason.REFUSED_BY_SERVER)
        case Delivery.NOT_TAKEN:
            return try_again(tries=tries, until=until, now=now)
        case _:
            assert_never(delivery)
