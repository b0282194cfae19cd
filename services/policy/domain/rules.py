"""A tenant's rules as people write them: what may stand in a version, and what it means."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    StrictBool,
    StringConstraints,
    field_validator,
)

from contracts.rules import (
    STRONG_ENOUGH,
    Disabler,
    Match,
    RecoveryMeans,
    Rule,
    RuleRequirement,
    Strength,
)
from contracts.vocabulary import Factor
from services.policy.domain.policy import no_way_in
from services.policy.domain.text import has_one_form
from services.policy.domain.zones import known_zone

# Every login goes through them in their order.
_MOST_RULES = 200
_MOST_NAMED = 1000
# NIST SP 800-63B-4 section 2.1.3: AAL1, which is what a remembered device is worth.
_MOST_DAYS = 30
# Whoever may put off enrolling more often than this is not asked for it.
_MOST_SKIPS = 50
# At the ends of time a moment of one zone is none of another.
_YEARS = range(1970, 9999)
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _one_form(text: str) -> str:
    if not has_one_form(text):
        raise ValueError("white space outside, unseen characters or text that is not NFC")
    return text


_Word = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_form)]
_Words = Annotated[tuple[_Word, ...], Field(max_length=_MOST_NAMED)]
_Ids = Annotated[tuple[UUID, ...], Field(max_length=_MOST_NAMED)]
_Each = TypeVar("_Each")
RuleName = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class MatchText(BaseModel):
    """Whom a rule is about: each list that is not empty has to name the login or the person."""

    model_config = _STRICT
    applications: _Ids = ()
    user_types: _Words = ()
    groups: _Words = ()
    subjects: _Ids = ()


class Asks(StrEnum):
    """What a rule asks for; `deny` lets nobody in, whatever they can show."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"
    DENY = "deny"


class RuleText(BaseModel):
    """One rule; it `starts` and `ends` on the clocks of the rules' time zone.

    Enrolling may be put off `skips` times, until the rule is `enforced`.
    """

    model_config = _STRICT
    name: RuleName
    match: MatchText = MatchText()
    starts: NaiveDatetime | None = None
    requirement: Asks
    skips: Annotated[int, Field(strict=True, ge=0, le=_MOST_SKIPS)] = 0
    enforced: NaiveDatetime | None = None
    factors: Annotated[tuple[Factor, ...], Field(max_length=len(Factor))] = ()
    strength: Strength = Strength.ANY
    remember_days: Annotated[int, Field(strict=True, ge=0, le=_MOST_DAYS)] | None = None
    recovery: Annotated[tuple[RecoveryMeans, ...], Field(max_length=len(RecoveryMeans))] | None = (
        None
    )
    may_disable: Annotated[tuple[Disabler, ...], Field(max_length=len(Disabler))] = tuple(Disabler)
    ends: NaiveDatetime | None = None
    email_code: StrictBool = False

    @field_validator("factors", "recovery", "may_disable")
    @classmethod
    def _once_each(cls, named: tuple[_Each, ...] | None) -> tuple[_Each, ...] | None:
        if named is not None and len(set(named)) != len(named):
            raise ValueError("each of them once, the preferred ones first")
        return named


class RulesText(BaseModel):
    """All rules of a tenant, in their order: the first that matches decides."""

    model_config = _STRICT
    time_zone: Annotated[str, AfterValidator(known_zone)] = "UTC"
    rules: Annotated[tuple[RuleText, ...], Field(max_length=_MOST_RULES)]


def digest_of(text: RulesText) -> str:
    """Return SHA-256 of the rules in one form, in hex.

    What a rule does not say is not in it, so that a rule which can say more has the same digest.
    """
    said = text.model_dump(mode="json", exclude_defaults=True)
    content = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def mistakes(text: RulesText, applications: frozenset[UUID]) -> tuple[str, ...]:
    """Return what is wrong with these rules, in words; `applications` are the tenant's."""
    return (*_repeated_names(text.rules), *_mistakes_of_rules(text, applications))


def lockouts(text: RulesText) -> tuple[str, ...]:
    """Return which rules would let nobody in who is not enrolled yet, in words.

    They can be written, but not brought into force.
    """
    required = (
        rule
        for rule in published_rules(text)
        if rule.requirement is RuleRequirement.REQUIRED and not rule.denied
    )
    found = ((rule.name, no_way_in(frozenset(rule.usable))) for rule in required)
    return tuple(f"{name}: {no_way.value}" for name, no_way in found if no_way is not None)


def published_rules(text: RulesText) -> tuple[Rule, ...]:
    """Return the rules as others read them; they have no mistakes."""
    return tuple(_published(rule, ZoneInfo(text.time_zone)) for rule in text.rules)


def rules_for(rules: Sequence[Rule], application_id: UUID) -> tuple[Rule, ...]:
    """Return the rules that can be about an application."""
    return tuple(
        rule
        for rule in rules
        if not rule.match.applications or application_id in rule.match.applications
    )


def rules_of_each(
    rules: Sequence[Rule], applications: Iterable[UUID]
) -> Mapping[UUID, tuple[Rule, ...]]:
    """Return the rules that can be about each of these applications."""
    named = [(rule, frozenset(rule.match.applications)) for rule in rules]
    return {
        about: tuple(rule for rule, those in named if not those or about in those)
        for about in applications
    }


def _repeated_names(rules: Sequence[RuleText]) -> Iterator[str]:
    names = [rule.name for rule in rules]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: two rules have this name"


def _mistakes_of_rules(text: RulesText, applications: frozenset[UUID]) -> Iterator[str]:
    zone = ZoneInfo(text.time_zone)
    for rule in text.rules:
        for words in _mistakes_of(rule, zone, applications):
            yield f"{rule.name}: {words}"


def _mistakes_of(rule: RuleText, zone: ZoneInfo, applications: frozenset[UUID]) -> Iterator[str]:
    for unknown in sorted(set(rule.match.applications) - applications):
        yield f"there is no application {unknown}"
    yield from _mistakes_of_times(rule, zone)
    if rule.skips and rule.requirement is not Asks.REQUIRED:
        yield "it requires nothing that could be put off"
    if rule.enforced is not None and not rule.skips:
        yield "it is enforced from its start on, because skips is 0"
    if rule.email_code and rule.requirement in (Asks.OFF, Asks.DENY):
        yield "it has nobody enroll, so that no code goes by e-mail before"
    yield from _mistakes_of_factors(rule)


def _mistakes_of_times(rule: RuleText, zone: ZoneInfo) -> Iterator[str]:
    for local in (rule.starts, rule.enforced, rule.ends):
        if local is not None and local.year not in _YEARS:
            yield f"{local} is not in the years from {_YEARS[0]} to {_YEARS[-1]}"
        elif local is not None and not _exists(local, zone):
            yield f"{local} is skipped by the clocks of {zone.key}"
    if rule.starts is not None and rule.ends is not None and rule.ends <= rule.starts:
        yield "it ends before it starts"
    if rule.enforced is None:
        return
    if rule.starts is not None and rule.enforced < rule.starts:
        yield "it is enforced before it starts"
    if rule.ends is not None and rule.enforced >= rule.ends:
        yield "it ends before it is enforced"


def _mistakes_of_factors(rule: RuleText) -> Iterator[str]:
    if Factor.RECOVERY_KEY in rule.factors:
        yield "recovery_key answers no challenge: it belongs under recovery"
    match rule.requirement:
        case Asks.OFF:
            return
        case Asks.DENY if rule.factors:
            yield "it lets nobody in, so that no factor is good for it"
        case Asks.OPTIONAL | Asks.REQUIRED if not rule.factors:
            yield "it allows no factor"
        case Asks.OPTIONAL | Asks.REQUIRED if not STRONG_ENOUGH[rule.strength].intersection(
            rule.factors
        ):
            yield f"none of its factors is of the strength {rule.strength.value}"


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    there = local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there.replace(tzinfo=None) == local


def _published(rule: RuleText, zone: ZoneInfo) -> Rule:
    denies = rule.requirement is Asks.DENY
    return Rule(
        name=rule.name,
        match=Match(**rule.match.model_dump()),
        starts=_moment(rule.starts, zone),
        requirement=RuleRequirement.REQUIRED if denies else RuleRequirement(rule.requirement),
        factors=rule.factors,
        # Readers that do not know `denied` shall take no other factor instead.
        strength=Strength.PHISHING_RESISTANT if denies else rule.strength,
        remember_days=0 if denies else rule.remember_days,
        ends=_moment(rule.ends, zone),
        denied=denies,
        skips=rule.skips,
        enforced=_moment(rule.enforced, zone),
        recovery=rule.recovery,
        may_disable=rule.may_disable,
        email_code=rule.email_code,
    )


def _moment(local: datetime | None, zone: ZoneInfo) -> datetime | None:
    return local.replace(tzinfo=zone).astimezone(UTC) if local is not None else None
