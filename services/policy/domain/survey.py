"""Whom rules would meet, and how: everybody is looked at, people who are alike once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.decisions import Asked, Decision, decide
from contracts.rules import Rule, RuleRequirement
from contracts.vocabulary import DecisionKind, Factor
from services.policy.domain.ways import Alike, Asker, Way, asks_of

_MESSAGES = frozenset({Factor.SMS, Factor.VOICE})


class Fate(StrEnum):
    """What somebody meets at a login, the worst last; `put_off` could enroll another time."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    PUT_OFF = "put_off"
    ENROLL = "enroll"
    DENY = "deny"


_WORSE = {fate: place for place, fate in enumerate(Fate)}


@dataclass(frozen=True)
class Observed:
    """So many logins of people alike, at one application, by one factor."""

    who: Alike
    application_id: UUID
    factor: Factor
    logins: int


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


@dataclass
class Replayed:
    """What would have become of the logins that were observed; each stands in one of the first."""

    as_before: int = 0
    by_another_factor: int = 0
    not_asked: int = 0
    enrolling: int = 0
    denied: int = 0
    messages: Counter[Factor] = field(default_factory=Counter)

    @property
    def observed(self) -> int:
        """Return how many logins that were."""
        first = self.as_before + self.by_another_factor
        return first + self.not_asked + self.enrolling + self.denied


@dataclass
class Survey:
    """What rules would mean, by application, by rule, and for each person's hardest login.

    Applications that ask the same before and after share their tally.
    """

    by_application: Mapping[UUID, Tally]
    people: int = 0
    everybody: Tally = field(default_factory=Tally)
    by_rule: dict[str, Reach] = field(default_factory=dict)
    logins: Replayed = field(default_factory=Replayed)


def mentioned(*all_rules: Iterable[Rule]) -> tuple[list[str], list[str], list[UUID]]:
    """Return the user types, groups and people that any of the rules names."""
    matches = [rule.match for rules in all_rules for rule in rules]
    return (
        sorted({word for match in matches for word in match.user_types}),
        sorted({word for match in matches for word in match.groups}),
        sorted({one for match in matches for one in match.subjects}),
    )


def fate_of(decision: Decision) -> Fate:
    """Return what somebody meets by a decision, before any enrollment was put off."""
    match decision.kind:
        case DecisionKind.ENROLL:
            return Fate.PUT_OFF if decision.skips_left else Fate.ENROLL
        case kind:
            return Fate(kind.value)


def worst(fates: Iterable[Fate]) -> Fate:
    """Return the hardest of what somebody meets; nothing is asked where there is nothing."""
    return max(fates, key=_WORSE.__getitem__, default=Fate.ALLOW)


def no_survey(before: Sequence[Asker], after: Sequence[Asker]) -> Survey:
    """Return the survey of nobody yet."""
    tallies: dict[tuple[Way, Way], Tally] = {}
    return Survey(
        {
            now.application_id: tallies.setdefault((then.way, now.way), Tally())
            for then, now in zip(before, after, strict=True)
        }
    )


def survey(
    people: Mapping[Alike, int],
    observed: Iterable[Observed],
    *,
    before: Sequence[Asker],
    after: Sequence[Asker],
    at: datetime,
    found: Survey | None = None,
) -> Survey:
    """Return what the applications as they would be mean for these people and their logins.

    `before` and `after` are the same applications in the same order; what was `found` of others
    before is added to.
    """
    found = found or no_survey(before, after)
    tallies = {
        (then.way, now.way): found.by_application[now.application_id]
        for then, now in zip(before, after, strict=True)
    }
    # Most applications ask the same: each way of asking is gone through once for people alike.
    ways = list(dict.fromkeys(way for pair in tallies for way in pair))
    afterwards = list(dict.fromkeys(way for _, way in tallies))
    for who, count in people.items():
        asks = asks_of(ways, who, at)
        fates = {way: fate_of(decide(ask, who.factors)) for way, ask in asks.items()}
        pairs = {pair: (fates[pair[0]], fates[pair[1]]) for pair in tallies}
        for pair, tally in tallies.items():
            tally.add(*pairs[pair], count)
        found.everybody.add(
            worst(b for b, _ in pairs.values()), worst(a for _, a in pairs.values()), count
        )
        _reach(found.by_rule, [asks[way] for way in afterwards], who, count)
    found.people += sum(people.values())
    _replay_all(found.logins, observed, {one.application_id: one for one in after}, at)
    return found


def fate_at(asking: Sequence[Asker], who: Alike, at: datetime) -> Fate:
    """Return the hardest that these people meet at any of the applications."""
    asks = asks_of({one.way for one in asking}, who, at)
    return worst(fate_of(decide(ask, who.factors)) for ask in asks.values())


def _reach(by_rule: dict[str, Reach], asks: Iterable[Asked], who: Alike, count: int) -> None:
    # A rule that decides at several applications is about a person once.
    for name, ask in {ask.rule: ask for ask in asks if ask.rule is not None}.items():
        reach = by_rule.setdefault(name, Reach(ask.requirement, ask.denied))
        reach.people += count
        if set(ask.factors) & set(who.factors):
            reach.ready += count


def _replay_all(
    replayed: Replayed,
    observed: Iterable[Observed],
    asking: Mapping[UUID, Asker],
    at: datetime,
) -> None:
    for one in observed:
        if one.application_id in asking:
            _replay(replayed, one, asking[one.application_id].way.decision(one.who, at))


def _replay(replayed: Replayed, one: Observed, decision: Decision) -> None:
    match decision.kind:
        case DecisionKind.ALLOW:
            replayed.not_asked += one.logins
            return
        case DecisionKind.DENY:
            replayed.denied += one.logins
            return
        case DecisionKind.ENROLL:
            replayed.enrolling += one.logins
            return
        case DecisionKind.CHALLENGE:
            same = one.factor in decision.factors
            # Whoever has a choice goes on as before; otherwise the preferred factor comes first.
            factor = one.factor if same else Factor(decision.factors[0])
    if same:
        replayed.as_before += one.logins
    else:
        replayed.by_another_factor += one.logins
    if factor in _MESSAGES:
        replayed.messages[factor] += one.logins
