"""How everybody reads what is asked of a login, and what an application should do then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from contracts.rules import (
    Disabler,
    Login,
    RecoveryMeans,
    Rule,
    RuleRequirement,
    deciding_rule,
)
from contracts.vocabulary import DecisionKind


class Reason(StrEnum):
    """Why the decision is what it is."""

    NOT_REQUIRED = "not_required"
    OPTIONAL = "optional"
    REQUIRED = "required"
    NOTHING_ENROLLED = "nothing_enrolled"
    REMEMBERED = "remembered"
    DENIED = "denied"


@dataclass(frozen=True)
class Asked:
    """What is asked of one login; `rule` is the name of the rule that says so, if one does.

    `skips` is how often enrolling may be put off at this time, whoever has done so already. With
    `email_code` an enrollment opens only with a code that was sent to the login address.
    """

    requirement: RuleRequirement
    factors: Sequence[str]
    rule: str | None = None
    remember_days: int | None = None
    denied: bool = False
    skips: int = 0
    recovery: Sequence[RecoveryMeans] = tuple(RecoveryMeans)
    may_disable: Sequence[Disabler] = tuple(Disabler)
    email_code: bool = False

    def disabling_refused(self, by: Disabler) -> "DisablingRefused | None":
        """Return why the second step cannot be switched off for this login (requirement E5)."""
        if self.denied or self.requirement is RuleRequirement.REQUIRED:
            return DisablingRefused.MANDATORY
        return DisablingRefused.NOT_ALLOWED if by not in self.may_disable else None


class DisablingRefused(StrEnum):
    """Why somebody's second step stays on."""

    MANDATORY = "mandatory"
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True)
class Decision:
    """The answer, and the factors that the subject can use, or may enroll, for it."""

    kind: DecisionKind
    reason: Reason
    factors: Sequence[str]
    skips_left: int = 0


def asked(rules: Sequence[Rule], login: Login, at: datetime, *, otherwise: Asked) -> Asked:
    """Return what is asked of a login at this time: `otherwise` where no rule decides."""
    rule = deciding_rule(rules, login, at)
    if rule is None:
        return otherwise
    return Asked(
        rule.requirement,
        rule.usable,
        rule.name,
        rule.remember_days,
        denied=rule.denied,
        skips=rule.skips_at(at),
        recovery=tuple(RecoveryMeans) if rule.recovery is None else rule.recovery,
        may_disable=rule.may_disable,
        email_code=rule.email_code,
    )


def decide(ask: Asked, enrolled: Sequence[str], *, skipped: int = 0) -> Decision:
    """Decide for a subject that has these factors; nobody knows nothing more of a stranger."""
    if ask.denied:
        return Decision(DecisionKind.DENY, Reason.DENIED, ())
    if ask.requirement is RuleRequirement.OFF:
        return Decision(DecisionKind.ALLOW, Reason.NOT_REQUIRED, ())
    usable = tuple(factor for factor in ask.factors if factor in enrolled)
    if ask.requirement is RuleRequirement.OPTIONAL:
        # Who has chosen to be protected is.
        if usable:
            return Decision(DecisionKind.CHALLENGE, Reason.OPTIONAL, usable)
        return Decision(DecisionKind.ALLOW, Reason.OPTIONAL, ask.factors)
    if not usable:
        left = max(0, ask.skips - skipped)
        return Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ask.factors, left)
    return Decision(DecisionKind.CHALLENGE, Reason.REQUIRED, usable)
