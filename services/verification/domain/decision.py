"""What an application should do with a subject now, by the policy that has arrived."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import contracts.decisions as read
from contracts.decisions import Asked, Decision, Reason
from contracts.rules import (
    Login,
    PassedOver,
    Rule,
    RuleRequirement,
    deciding_rule,
    doubt,
    passed_over,
)
from contracts.vocabulary import DecisionKind, Factor


@dataclass(frozen=True)
class Policy:
    """What the application asks: by the tenant's rules, and where none decides by its own terms."""

    version: int
    required: bool
    factors: tuple[Factor, ...]
    rules: tuple[Rule, ...] = ()
    rules_version: int | None = None
    rules_digest: str | None = None


def asked(policy: Policy, login: Login, at: datetime) -> Asked:
    """Return what is asked of a login at this time."""
    terms = RuleRequirement.REQUIRED if policy.required else RuleRequirement.OFF
    return read.asked(policy.rules, login, at, otherwise=Asked(terms, policy.factors))


def explained(policy: Policy, login: Login, at: datetime) -> Sequence[tuple[str, PassedOver]]:
    """Return the rules before the one that decides, and why each does not."""
    found = []
    for rule in policy.rules:
        why = passed_over(rule, login, at)
        if why is None and deciding_rule((rule,), login, at) is not None:
            break
        found.append((rule.name, why or doubt(rule, login) or PassedOver.UNKNOWN_PERSON))
    return found


def in_doubt(policy: Policy, login: Login, at: datetime) -> PassedOver | None:
    """Return why nobody can tell whether the rule that decides is about the login, if so."""
    rule = deciding_rule(policy.rules, login, at)
    return None if rule is None else doubt(rule, login)


_FOR_EVER = {"starts": None, "ends": None, "enforced": None}
# Any time will do for a rule that has none.
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def is_matter_of_time(policy: Policy, login: Login) -> bool:
    """Tell whether what is asked of a login may be something else at another time."""
    for rule in policy.rules:
        timeless = rule.model_copy(update=_FOR_EVER)
        if deciding_rule((timeless,), login, _SOME_TIME) is not None:
            # It decides from now on, or whenever its time is; what comes after it then does not.
            return timeless != rule
    return False


def remembered(challenge: Decision) -> Decision:
    """Return what a challenge becomes on a remembered device; its factors stay usable.

    The application may still ask for one, before something that needs a second factor now.
    """
    return replace(challenge, kind=DecisionKind.ALLOW, reason=Reason.REMEMBERED)
