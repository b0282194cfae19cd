"""Whom rules would meet, and how: everybody is looked at, people who are alike once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.decisions import Asked, Decision, asked, decide
from contracts.rules import Login, Rule, RuleRequirement
from contracts.vocabulary import DecisionKind, Factor, Requirement
from services.policy.domain.policy import Terms

_ANY = UUID(int=0)
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
class Alike:
    """People between whom no rule can tell a difference; `subject_ref` is there for one it names.

    `user_type` and `groups` are left out where no rule asks for them.
    """

    user_type: str | None
    groups: tuple[str, ...]
    subject_ref: UUID | None
    factors: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Way:
    """A way of asking that applications share: `rules`, and `own` where none of them decides."""

    own: Asked
    rules: tuple[Rule, ...]

    def asked(self, who: Alike, at: datetime) -> Asked:
        """Return what is asked of these people at this time."""
        login = Login(_ANY, who.subject_ref, who.user_type, who.groups)
        return asked(self.rules, login, at, otherwise=self.own)

    def decision(self, who: Alike, at: datetime) -> Decision:
        """Return what an application does with them that asks this way."""
        return decide(self.asked(who, at), who.factors)


@dataclass(frozen=True)
class Asking:
    """An application, and how it would ask."""

    application_id: UUID
    name: str
    way: Way


def ways_of(asking: Iterable[tuple[Terms, Iterable[Rule]]]) -> list[Way]:
    """Return how applications ask that have these terms and rules; the same way is there once.

    The rules of an application are those that can be about it, so which it is makes no difference.
    """
    known: dict[tuple[Terms, tuple[Rule, ...]], Way] = {}
    return [_way(known, terms, tuple(_anywhere(rule) for rule in rules)) for terms, rules in asking]


def _way(
    known: dict[tuple[Terms, tuple[Rule, ...]], Way], terms: Terms, rules: tuple[Rule, ...]
) -> Way:
    required = terms.requirement is Requirement.REQUIRED
    own = Asked(
        RuleRequirement.REQUIRED if required else RuleRequirement.OFF,
        tuple(factor for factor in Factor if factor in terms.factors),
    )
    return known.setdefault((terms, rules), Way(own, rules))


def _anywhere(rule: Rule) -> Rule:
    return rule.model_copy(update={"match": rule.match.model_copy(update={"applications": ()})})


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


@dataclass(frozen=True)
class Survey:
    """What rules would mean, by application, by rule, and for each person's hardest login."""

    people: int
    everybody: Tally
    by_application: Mapping[UUID, Tally]
    by_rule: dict[str, Reach]
    logins: Replayed


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


def survey(
    people: Mapping[Alike, int],
    observed: Iterable[Observed],
    *,
    before: Sequence[Asking],
    after: Sequence[Asking],
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
        logins=_replayed(observed, {one.application_id: one for one in after}, at),
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


def fate_at(asking: Sequence[Asking], who: Alike, at: datetime) -> Fate:
    """Return the hardest that these people meet at any of the applications."""
    ways = {one.way for one in asking}
    return worst(fate_of(way.decision(who, at)) for way in ways)


def _reach(by_rule: dict[str, Reach], asks: Iterable[Asked], who: Alike, count: int) -> None:
    # A rule that decides at several applications is about a person once.
    for name, ask in {ask.rule: ask for ask in asks if ask.rule is not None}.items():
        reach = by_rule.setdefault(name, Reach(ask.requirement, ask.denied))
        reach.people += count
        if set(ask.factors) & set(who.factors):
            reach.ready += count


def _replayed(
    observed: Iterable[Observed], asking: Mapping[UUID, Asking], at: datetime
) -> Replayed:
    replayed = Replayed()
    for one in observed:
        if one.application_id in asking:
            _replay(replayed, one, asking[one.application_id].way.decision(one.who, at))
    return replayed


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
