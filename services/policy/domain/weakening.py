"""Whether other rules, or other terms of an application, ask less of anybody at any time.

Nobody is asked for less where each line that may decide afterwards asks at least as much as each
line that may have decided before, for the same login at the same time. Which lines may decide is
overestimated, never underestimated: what is called no weakening is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from contracts.rules import Match, Rule, RuleRequirement
from services.policy.domain.asking import Asking, asks_less, of_rule, of_terms
from services.policy.domain.policy import Terms

# All bits: whoever it is.
_EVERYBODY = -1
_OWN_TERMS = "the application's own policy"
# Looks at one line in the way of a pair; about 0.2 s (measured), while nobody else is served.
_MOST_LOOKS = 200_000
_MOST_WORDS = 20
_TOO_MANY = "these rules are too many to be compared"

# What may be known of a login: everything; who it is, but none of the attributes; nothing of it.
_KNOWN = (
    frozenset(Match.model_fields),
    frozenset({"applications", "subjects"}),
    frozenset({"applications"}),
)

_Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class InForce:
    """The rules that are tried first, and what each application asks where none decides."""

    rules: Sequence[Rule]
    terms: Mapping[UUID, Terms]


@dataclass(frozen=True)
class _Line:
    """A rule, or an application's own terms, for a time in which it asks the same.

    Whom it is about are bits; a login has one application, one user type, one subject, but groups.
    """

    name: str
    applications: int
    user_types: int
    groups: int
    subjects: int
    span: _Span
    asking: Asking

    @property
    def about(self) -> tuple[int, int, int, int, _Span]:
        """Return whom it is about and when, whatever it asks."""
        return self.applications, self.user_types, self.groups, self.subjects, self.span


@dataclass
class _Bits:
    """Gives each name a bit of its own."""

    given: dict[object, int] = field(default_factory=dict)

    def of(self, names: Sequence[object]) -> int:
        """Return the bits of these names; nobody named is everybody."""
        bits = 0
        for name in names:
            bits |= 1 << self.given.setdefault(name, len(self.given))
        return bits if names else _EVERYBODY


@dataclass
class _Comparison:
    """Two lists of lines, of which each time the first that is about a login decides."""

    before: Sequence[_Line]
    after: Sequence[_Line]
    looks: int = 0

    def words(self) -> Iterator[str]:
        """Return who is asked for less, in words."""
        before, after = _places(self.before), _places(self.after)
        for place, new in enumerate(self.after):
            for former, old in enumerate(self.before):
                found = asks_less(new.asking, old.asking) if _meet(new, old) else ()
                if not found:
                    continue
                # Most lines stand where they stood: one look, whatever the length of the lists.
                if after.get(old.about, place) < place or before.get(new.about, former) < former:
                    continue
                if self._may_decide(new, old, [*self.after[:place], *self.before[:former]]):
                    yield from (f"{_which(new, old)}: {words}" for words in found)
                if self.looks > _MOST_LOOKS:
                    yield _TOO_MANY
                    return

    def _may_decide(self, new: _Line, old: _Line, earlier: Sequence[_Line]) -> bool:
        left = [_joint(new.span, old.span)]
        for line in earlier:
            self.looks += 1
            if _is_about_both(line, new, old):
                left = [rest for span in left for rest in _without(span, line.span)]
            if not left:
                return False
        return True


def weakenings(before: InForce, after: InForce) -> tuple[str, ...]:
    """Return how less is asked of somebody at some time, in words; nothing where surely nowhere."""
    found: list[str] = []
    for known in _KNOWN:
        bits = {name: _Bits() for name in Match.model_fields}
        old, new = (_lines(one, bits, known) for one in (before, after))
        for words in _Comparison(before=old, after=new).words():
            if words not in found:
                found.append(words)
            if len(found) > _MOST_WORDS:
                return (*found[:_MOST_WORDS], "and more")
    return tuple(found)


def _lines(one: InForce, bits: Mapping[str, _Bits], known: frozenset[str]) -> list[_Line]:
    everywhere = bits["applications"].of(sorted(one.terms))
    lines = [
        _line(rule.name, match, bits, span, asking)
        for rule in one.rules
        # Of whom it is about less may be known than the rule asks: it decides where it requires.
        if (match := _seen(rule, known)) == rule.match
        or rule.requirement is RuleRequirement.REQUIRED
        for span, asking in _parts(rule)
    ]
    lines += [
        _line(_OWN_TERMS, Match(applications=tuple(about)), bits, _span(None, None), of_terms(same))
        for same, about in _by_terms(one.terms).items()
    ]
    return [_within(line, everywhere) for line in lines if line.applications & everywhere]


def _line(name: str, match: Match, bits: Mapping[str, _Bits], span: _Span, asking: Asking) -> _Line:
    about = {kind: each.of(getattr(match, kind)) for kind, each in bits.items()}
    return _Line(name, span=span, asking=asking, **about)


def _within(line: _Line, everywhere: int) -> _Line:
    return replace(line, applications=line.applications & everywhere)


def _seen(rule: Rule, known: frozenset[str]) -> Match:
    return Match(**{name: getattr(rule.match, name) for name in known})


def _parts(rule: Rule) -> Iterator[tuple[_Span, Asking]]:
    starts, ends = _span(rule.starts, rule.ends)
    enforced = rule.enforced if rule.skips and rule.enforced is not None else ends
    turns = min(max(enforced, starts), ends)
    for span in ((starts, turns), (turns, ends)):
        if span[0] < span[1]:
            yield span, of_rule(rule, skips=rule.skips_at(span[0]))


def _by_terms(terms: Mapping[UUID, Terms]) -> Mapping[Terms, list[UUID]]:
    found: dict[Terms, list[UUID]] = {}
    for about, one in terms.items():
        found.setdefault(one, []).append(about)
    return found


def _places(lines: Sequence[_Line]) -> Mapping[object, int]:
    return {line.about: place for place, line in reversed(list(enumerate(lines)))}


def _meet(new: _Line, old: _Line) -> bool:
    if not new.applications & old.applications or not new.user_types & old.user_types:
        return False
    starts, ends = _joint(new.span, old.span)
    # One person can be in any two groups.
    return bool(new.subjects & old.subjects) and starts < ends


def _is_about_both(line: _Line, new: _Line, old: _Line) -> bool:
    """Tell whether a line is about every login that both others are about."""
    return (
        _holds(line.applications, new.applications & old.applications)
        and _holds(line.user_types, new.user_types & old.user_types)
        and _holds(line.subjects, new.subjects & old.subjects)
        and (_holds(line.groups, new.groups) or _holds(line.groups, old.groups))
    )


def _holds(more: int, less: int) -> bool:
    return not less & ~more


def _which(new: _Line, old: _Line) -> str:
    return new.name if new.name == old.name else f"{new.name} instead of {old.name}"


def _span(starts: datetime | None, ends: datetime | None) -> _Span:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    return starts or first, ends or last


def _joint(one: _Span, other: _Span) -> _Span:
    return max(one[0], other[0]), min(one[1], other[1])


def _without(span: _Span, taken: _Span) -> Iterator[_Span]:
    for rest in ((span[0], min(span[1], taken[0])), (max(span[0], taken[1]), span[1])):
        if rest[0] < rest[1]:
            yield rest
