"""What an application should do with a subject now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from contracts.rules import Login, PassedOver, Rule, RuleRequirement, deciding_rule, passed_over
from contracts.vocabulary import Factor


class DecisionKind(StrEnum):
    """The four answers."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    ENROLL = "enroll"


class Reason(StrEnum):
    """Why the decision is what it is."""

    NOT_REQUIRED = "not_required"
    OPTIONAL = "optional"
    REQUIRED = "required"
    NOTHING_ENROLLED = "nothing_enrolled"
    REMEMBERED = "remembered"


@dataclass(frozen=True)
class Policy:
    """What the application asks: by the tenant's rules, and where none decides by its own terms."""

    version: int
    required: bool
    factors: tuple[Factor, ...]
    rules: tuple[Rule, ...] = ()
    rules_version: int | None = None
    rules_digest: str | None = None


@dataclass(frozen=True)
class Asked:
    """What is asked of one login; `rule` is the name of the rule that says so, if one does."""

    requirement: RuleRequirement
    factors: tuple[str, ...]
    rule: str | None = None
    remember_days: int | None = None


@dataclass(frozen=True)
class Decision:
    """The answer, and the factors that the subject can use, or may enroll, for it."""

    kind: DecisionKind
    reason: Reason
    factors: tuple[str, ...]


def asked(policy: Policy, login: Login, at: datetime) -> Asked:
    """Return what is asked of a login at this time."""
    rule = deciding_rule(policy.rules, login, at)
    if rule is None:
        terms = RuleRequirement.REQUIRED if policy.required else RuleRequirement.OFF
        return Asked(terms, policy.factors)
    return Asked(rule.requirement, rule.usable, rule.name, rule.remember_days)


def explained(policy: Policy, login: Login, at: datetime) -> Sequence[tuple[str, PassedOver]]:
    """Return the rules before the one that decides, and why each does not."""
    found = []
    for rule in policy.rules:
        why = passed_over(rule, login, at)
        if why is None and deciding_rule((rule,), login, at) is not None:
            break
        found.append((rule.name, why or PassedOver.UNKNOWN_PERSON))
    return found


def decide(ask: Asked, enrolled: Sequence[str]) -> Decision:
    """Decide for a subject that has these factors; nobody knows nothing more of a stranger."""
    if ask.requirement is RuleRequirement.OFF:
        return Decision(DecisionKind.ALLOW, Reason.NOT_REQUIRED, ())
    usable = tuple(factor for factor in ask.factors if factor in enrolled)
    if ask.requirement is RuleRequirement.OPTIONAL:
        # Who has chosen to be protected is.
        if usable:
            return Decision(DecisionKind.CHALLENGE, Reason.OPTIONAL, usable)
        return Decision(DecisionKind.ALLOW, Reason.OPTIONAL, ask.factors)
    if not usable:
        return Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ask.factors)
    return Decision(DecisionKind.CHALLENGE, Reason.REQUIRED, usable)


def remembered(challenge: Decision) -> Decision:
    """Return what a challenge becomes on a remembered device; its factors stay usable.

    The application may still ask for one, before something that needs a second factor now.
    """
    return Decision(DecisionKind.ALLOW, Reason.REMEMBERED, challenge.factors)
