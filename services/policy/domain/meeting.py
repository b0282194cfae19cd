"""What people meet at a login: everybody is looked at, people who are alike once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.decisions import Asked, Decision, asked, decide
from contracts.rules import Login, Rule, RuleRequirement
from contracts.vocabulary import DecisionKind, Factor, Requirement
from services.policy.domain.policy import Terms

_ANY = UUID(int=0)


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
class Asker:
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


def fate_at(asking: Sequence[Asker], who: Alike, at: datetime) -> Fate:
    """Return the hardest that these people meet at any of the applications."""
    ways = {one.way for one in asking}
    return worst(fate_of(way.decision(who, at)) for way in ways)
