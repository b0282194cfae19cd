"""Whom rules would meet, and how, summed up."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.decisions import Asked, decide
from contracts.rules import RuleRequirement
from services.policy.domain.meeting import Alike, Asker, Fate, fate_of, worst
from services.policy.domain.replay import Observed, Replayed, replayed


@dataclass
class Tally:
    """How many people meet what, now and then; `moves` says who met what and would meet what."""

    before: Counter[Fate] = field(default_factory=Counter)
    after: Counter[Fate] = field(default_factory=Counter)
    moves: Counter[tuple[Fate, Fate]] = field(default_factory=Counter)

    def add(self, before: Fate, after: Fate, people: int) -> None:
        """Count people."""
        self.before[before] += people
        self.after[after] += people
        if before is not after:
            self.moves[before, after] += people


@dataclass
class Reach:
    """How many people a rule decides about anywhere, and how many could do what it asks."""

    requirement: RuleRequirement
    denied: bool
    people: int = 0
    ready: int = 0


@dataclass(frozen=True)
class Survey:
    """What rules would mean, by application, by rule, and for each person's hardest login."""

    people: int
    everybody: Tally
    by_application: Mapping[UUID, Tally]
    by_rule: dict[str, Reach]
    logins: Replayed


def survey(
    people: Mapping[Alike, int],
    observed: Iterable[Observed],
    *,
    before: Sequence[Asker],
    after: Sequence[Asker],
    at: datetime,
) -> Survey:
    """Return what the applications as they would be mean for these people and their logins.

    `before` and `after` are the same applications in the same order.
    """
    found = Survey(
        people=sum(people.values()),
        everybody=Tally(),
        by_application={one.application_id: Tally() for one in after},
        by_rule={},
        logins=replayed(observed, {one.application_id: one for one in after}, at),
    )
    # Most applications ask the same: each way of asking is gone through once for people alike.
    ways = list(dict.fromkeys(one.way for one in (*before, *after)))
    for who, count in people.items():
        asks = {way: way.asked(who, at) for way in ways}
        fates = {way: fate_of(decide(ask, who.factors)) for way, ask in asks.items()}
        pairs = [(fates[b.way], fates[a.way]) for b, a in zip(before, after, strict=True)]
        for one, pair in zip(after, pairs, strict=True):
            found.by_application[one.application_id].add(*pair, count)
        found.everybody.add(worst(b for b, _ in pairs), worst(a for _, a in pairs), count)
        _reach(found.by_rule, [asks[one.way] for one in after], who, count)
    return found


def _reach(by_rule: dict[str, Reach], asks: Iterable[Asked], who: Alike, count: int) -> None:
    # A rule that decides at several applications is about a person once.
    for name, ask in {ask.rule: ask for ask in asks if ask.rule is not None}.items():
        reach = by_rule.setdefault(name, Reach(ask.requirement, ask.denied))
        reach.people += count
        if set(ask.factors) & set(who.factors):
            reach.ready += count
