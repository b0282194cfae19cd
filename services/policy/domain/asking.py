"""What is asked of a login at one moment, and whether that is less than something else."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from contracts.rules import Disabler, RecoveryMeans, Rule, RuleRequirement
from contracts.vocabulary import Factor
from services.policy.domain.policy import Terms
from services.policy.domain.rules import Asks

# The firmer the later.
_FIRMNESS = (Asks.OFF, Asks.OPTIONAL, Asks.REQUIRED, Asks.DENY)


@dataclass(frozen=True)
class Asking:
    """What one rule asks as long as it asks the same; `days` is None where the operator says.

    Skips are counted by the rule's name, so that another rule lets people begin anew.
    """

    asks: Asks
    factors: frozenset[Factor]
    days: int | None = None
    skips: int = 0
    counted_by: str | None = None
    recovery: frozenset[RecoveryMeans] = frozenset(RecoveryMeans)
    may_disable: frozenset[Disabler] = frozenset(Disabler)
    email_code: bool = False


def of_rule(rule: Rule, *, skips: int) -> Asking:
    """Return what a rule asks while enrolling may be put off so often."""
    means = RecoveryMeans if rule.recovery is None else rule.recovery
    return Asking(
        Asks.DENY if rule.denied else Asks(rule.requirement),
        factors=frozenset(rule.usable),
        days=rule.remember_days,
        skips=skips,
        counted_by=rule.name if skips else None,
        recovery=frozenset(means),
        may_disable=frozenset(rule.may_disable),
        email_code=rule.email_code,
    )


def of_terms(terms: Terms) -> Asking:
    """Return what an application asks where no rule decides."""
    return Asking(Asks(RuleRequirement(terms.requirement)), factors=terms.factors)


@cache
def _rank(asks: Asks) -> int:
    return _FIRMNESS.index(asks)


def asks_less(new: Asking, old: Asking) -> tuple[str, ...]:
    """Return in which way this asks less of somebody than that, in words; nothing where it cannot.

    What counts is who gets in: somebody with one more factor to choose from is asked for less, and
    so is somebody whose only factor counts no more where the rule does not insist on another one.
    """
    return () if new == old else tuple(_less(new, old))


def _less(new: Asking, old: Asking) -> Iterator[str]:
    if _rank(new.asks) < _rank(old.asks):
        yield f"{new.asks.value} instead of {old.asks.value}"
    elif old.asks is not Asks.OFF and new.asks is not Asks.DENY:
        yield from _easier(new, old)
    if more := new.recovery - old.recovery:
        yield f"recovery also by {_named(more)}"
    if others := new.may_disable - old.may_disable:
        yield f"may be disabled also by the {_named(others)}"
    if old.email_code and not new.email_code and new.asks is not Asks.DENY:
        yield "an enrollment opens without a code that is sent to the login address"


def _easier(new: Asking, old: Asking) -> Iterator[str]:
    if more := new.factors - old.factors:
        yield f"{_named(more)} is good enough, too"
    insists = new.asks is Asks.REQUIRED and not new.skips
    if not insists and (gone := old.factors - new.factors):
        yield f"nothing is asked of who has only {_named(gone)}"
    if _may_be_longer(new.days, old.days):
        yield f"devices are remembered for {_days(new)} instead of {_days(old)}"
    if old.asks is Asks.REQUIRED and new.skips and _begins_anew(new, old):
        yield f"enrolling may be put off {new.skips} times, and {old.skips} before"


def _begins_anew(new: Asking, old: Asking) -> bool:
    return new.skips > old.skips or new.counted_by != old.counted_by


def _may_be_longer(new: int | None, old: int | None) -> bool:
    if new in (old, 0):
        return False
    # How many days the operator says is not known here.
    return new is None or old is None or new > old


def _days(asking: Asking) -> str:
    return "the operator's days" if asking.days is None else f"{asking.days} days"


def _named(values: frozenset[Factor] | frozenset[RecoveryMeans] | frozenset[Disabler]) -> str:
    return ", ".join(sorted(one.value for one in values))
