import pytest

from services.verification.domain.decision import Decision, DecisionKind, Policy, Reason, decide

TABLE = [
    (False, ("totp",), ("totp",), DecisionKind.ALLOW, Reason.NOT_REQUIRED, ()),
    (False, (), (), DecisionKind.ALLOW, Reason.NOT_REQUIRED, ()),
    (True, ("totp",), (), DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ("totp",)),
    (True, ("totp",), ("sms",), DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ("totp",)),
    (True, ("totp",), ("totp",), DecisionKind.CHALLENGE, Reason.REQUIRED, ("totp",)),
    (True, ("passkey", "totp"), ("totp",), DecisionKind.CHALLENGE, Reason.REQUIRED, ("totp",)),
]


@pytest.mark.parametrize(("required", "allowed", "enrolled", "kind", "reason", "factors"), TABLE)
def test_decides_by_policy_and_by_what_is_enrolled(
    required: bool,
    allowed: tuple[str, ...],
    enrolled: tuple[str, ...],
    kind: DecisionKind,
    reason: Reason,
    factors: tuple[str, ...],
) -> None:
    policy = Policy(version=1, required=required, factors=allowed)

    assert decide(policy, enrolled) == Decision(kind, reason, factors)
