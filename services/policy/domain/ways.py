"""How applications ask people whom no rule can tell apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from contracts.decisions import Asked, Decision, asked, decide
from contracts.rules import Login, Rule, RuleRequirement, deciding_rule
from contracts.vocabulary import Factor, Requirement
from services.policy.domain.policy import Terms

_ANY = UUID(int=0)


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
        return asks_of([self], who, at)[self]

    def decision(self, who: Alike, at: datetime) -> Decision:
        """Return what an application does with them that asks this way."""
        return decide(self.asked(who, at), who.factors)


def asks_of(ways: Iterable[Way], who: Alike, at: datetime) -> dict[Way, Asked]:
    """Return what is asked of people alike; a rule of several ways is looked at once."""
    login = Login(_ANY, who.subject_ref, who.user_type, who.groups)
    decides: dict[int, bool] = {}

    def is_first(rule: Rule) -> bool:
        # Whether a rule decides depends on no other one.
        if id(rule) not in decides:
            decides[id(rule)] = deciding_rule((rule,), login, at) is not None
        return decides[id(rule)]

    asks = {}
    for way in ways:
        first = tuple(islice(filter(is_first, way.rules), 1))
        asks[way] = asked(first, login, at, otherwise=way.own)
    return asks


@dataclass(frozen=True)
class Asker:
    """An application, and how it would ask."""

    application_id: UUID
    name: str
    way: Way


def ways_of(asking: Iterable[tuple[Terms, Iterable[Rule]]]) -> list[Way]:
    """Return how applications ask that have these terms and rules; the same way is there once.

    The rules of an application are those that can be about it, so which it is makes no difference.
    """
    known, ways = _Anywhere(), dict[tuple[Terms, tuple[int, ...]], Way]()
    return [_way(ways, terms, tuple(map(known.of, rules))) for terms, rules in asking]


def _way(
    ways: dict[tuple[Terms, tuple[int, ...]], Way], terms: Terms, rules: tuple[Rule, ...]
) -> Way:
    # Rules that are equal are one object, and that is quicker to compare than all they say.
    place = (terms, tuple(map(id, rules)))
    if place not in ways:
        required = terms.requirement is Requirement.REQUIRED
        own = Asked(
            RuleRequirement.REQUIRED if required else RuleRequirement.OFF,
            tuple(factor for factor in Factor if factor in terms.factors),
        )
        ways[place] = Way(own, rules)
    return ways[place]


class _Anywhere:
    """Rules as they are wherever they are about a login: those that are equal are one object."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Rule, Rule]] = {}
        self._equal: dict[Rule, Rule] = {}

    def of(self, rule: Rule) -> Rule:
        """Return a rule without the applications that it names; each is looked at once."""
        if id(rule) not in self._seen:
            match = rule.match.model_copy(update={"applications": ()})
            anywhere = rule.model_copy(update={"match": match})
            # What is kept here keeps its id.
            self._seen[id(rule)] = (rule, self._equal.setdefault(anywhere, anywhere))
        return self._seen[id(rule)][1]
