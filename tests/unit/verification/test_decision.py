import pytest

from contracts.rules import RuleRequirement
from services.verification.domain.decision import Asked, Decision, DecisionKind, Reason, decide

_OFF, _OPTIONAL, _REQUIRED = RuleRequirement

TABLE = [
    (_OPTIONAL, ("totp",), (), DecisionKind.ALLOW, Reason.OPTIONAL, ("totp",)),
    (_OPTIONAL, ("totp",), ("totp",), DecisionKind.CHALLENGE, Reason.OPTIONAL, ("totp",)),
    (_OPTIONAL, ("totp",), ("sms",), DecisionKind.ALLOW, Reason.OPTIONAL, ("totp",)),
    (_OFF, ("totp",), ("totp",), DecisionKind.ALLOW, Reason.NOT_REQUIRED, ()),
    (_OFF, (), (), DecisionKind.ALLOW, Reason.NOT_REQUIRED, ()),
    (_REQUIRED, ("totp",), (), DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ("totp",)),
    (_REQUIRED, ("totp",), ("sms",), DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ("totp",)),
    (_REQUIRED, ("totp",), ("totp",), DecisionKind.CHALLENGE, Reason.REQUIRED, ("totp",)),
    (_REQUIRED, ("passkey", "totp"), ("totp",), DecisionKind.CHALLENGE, Reason.REQUIRED, ("totp",)),
]


@pytest.mark.parametrize(("requirement", "allowed", "enrolled", "kind", "reason", "factors"), TABLE)
def test_decides_by_policy_and_by_what_is_enrolled(
    requirement: RuleRequirement,
    allowed: tuple[str, ...],
    enrolled: tuple[str, ...],
    kind: DecisionKind,
    reason: Reason,
    factors: tuple[str, ...],
) -> None:
    assert decide(Asked(requirement, allowed), enrolled) == Decision(kind, reason, factors)
