"""When it is time to say that a rule will soon require something."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from contracts.rules import Rule, RuleRequirement

# So many days ahead it is said: two weeks, one week, one day.
AHEAD = (14, 7, 1)


def required_from(rule: Rule) -> datetime | None:
    """Return from when on nobody gets in without a second step, where that has a date."""
    if rule.requirement is not RuleRequirement.REQUIRED or rule.denied:
        return None
    return rule.enforced or rule.starts


def due(rules: Sequence[Rule], now: datetime) -> Iterator[tuple[Rule, datetime, int]]:
    """Return what is to be said now: which rule, from when on, and how many days are left at most.

    Of what was missed only the latest is said: a rule that comes into force three days ahead is
    announced once, as "7 days at most", and again a day ahead.
    """
    for rule in rules:
        from_then_on = required_from(rule)
        if from_then_on is None:
            continue
        left = from_then_on - now
        reached = [days for days in AHEAD if timedelta(0) < left <= timedelta(days=days)]
        if reached:
            yield rule, from_then_on, min(reached)
