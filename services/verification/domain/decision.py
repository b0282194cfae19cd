"""What an application should do with a subject now."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class DecisionKind(StrEnum):
    """The four answers."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    ENROLL = "enroll"


class Reason(StrEnum):
    """Why the decision is what it is."""

    NOT_REQUIRED = "not_required"
    REQUIRED = "required"
    NOTHING_ENROLLED = "nothing_enrolled"
    REMEMBERED = "remembered"


@dataclass(frozen=True)
class Policy:
    """What the application asks."""

    version: int
    required: bool
    factors: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """The answer, and the factors that the subject can use, or may enroll, for it."""

    kind: DecisionKind
    reason: Reason
    factors: tuple[str, ...]


def decide(policy: Policy, enrolled: Sequence[str]) -> Decision:
    """Decide for a subject that has these factors; nobody knows nothing more of a stranger."""
    if not policy.required:
        return Decision(DecisionKind.ALLOW, Reason.NOT_REQUIRED, ())
    usable = tuple(factor for factor in policy.factors if factor in enrolled)
    if not usable:
        return Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, policy.factors)
    return Decision(DecisionKind.CHALLENGE, Reason.REQUIRED, usable)


def remembered(challenge: Decision) -> Decision:
    """Return what a challenge becomes on a remembered device; its factors stay usable.

    The application may still ask for one, before something that needs a second factor now.
    """
    return Decision(DecisionKind.ALLOW, Reason.REMEMBERED, challenge.factors)
