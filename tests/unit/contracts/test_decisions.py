from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.decisions import Asked, Decision, Reason, asked, decide
from contracts.rules import (
    Disabler,
    Login,
    Match,
    RecoveryMeans,
    Rule,
    RuleRequirement,
    Strength,
    factors_for,
)
from contracts.vocabulary import DecisionKind, Factor

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


@pytest.mark.parametrize(
    ("skips", "skipped", "left"), [(0, 0, 0), (3, 0, 3), (3, 2, 1), (3, 3, 0), (3, 4, 0)]
)
def test_enrolling_may_be_put_off_so_often(skips: int, skipped: int, left: int) -> None:
    decision = decide(Asked(_REQUIRED, ("totp",), skips=skips), (), skipped=skipped)

    assert (decision.kind, decision.skips_left) == (DecisionKind.ENROLL, left)


def test_who_is_enrolled_cannot_put_off_the_challenge() -> None:
    decision = decide(Asked(_REQUIRED, ("totp",), skips=3), ("totp",))

    assert (decision.kind, decision.skips_left) == (DecisionKind.CHALLENGE, 0)


@pytest.mark.parametrize("enrolled", [(), ("totp",)])
def test_who_is_denied_gets_in_by_nothing(enrolled: tuple[str, ...]) -> None:
    ask = Asked(_REQUIRED, ("totp",), denied=True, skips=3)

    assert decide(ask, enrolled) == Decision(DecisionKind.DENY, Reason.DENIED, ())


_STARTS = datetime(2027, 2, 1, 7, tzinfo=UTC)
_NUDGE = Rule(
    name="students",
    match=Match(),
    starts=_STARTS,
    requirement=_REQUIRED,
    factors=(Factor.TOTP,),
    strength=Strength.ANY,
    skips=3,
    enforced=_STARTS + timedelta(days=30),
)
_SOMEBODY = Login(UUID(int=1), known=False)


@pytest.mark.requirement("B1")
@pytest.mark.parametrize(
    ("after", "requirement", "skips"),
    [
        (timedelta(microseconds=-1), _OFF, 0),
        (timedelta(0), _REQUIRED, 3),
        (timedelta(days=30, microseconds=-1), _REQUIRED, 3),
        (timedelta(days=30), _REQUIRED, 0),
        (timedelta(days=300), _REQUIRED, 0),
    ],
)
def test_a_rule_is_announced_then_reminds_then_is_enforced(
    after: timedelta, requirement: RuleRequirement, skips: int
) -> None:
    ask = asked([_NUDGE], _SOMEBODY, _STARTS + after, otherwise=Asked(_OFF, ()))

    assert (ask.requirement, ask.skips) == (requirement, skips)


def test_no_factor_is_good_for_who_is_denied() -> None:
    denied = _NUDGE.model_copy(update={"denied": True, "factors": ()})

    assert factors_for([denied], _SOMEBODY, _STARTS, otherwise=(Factor.TOTP,)) == ()
    assert asked([denied], _SOMEBODY, _STARTS, otherwise=Asked(_OFF, ())).denied


@pytest.mark.parametrize(
    ("recovery", "usable"),
    [
        (None, (Factor.TOTP, Factor.RECOVERY_CODE)),
        ((RecoveryMeans.RECOVERY_CODE,), (Factor.TOTP, Factor.RECOVERY_CODE)),
        ((RecoveryMeans.RECOVERY_KEY,), (Factor.TOTP,)),
        ((), (Factor.TOTP,)),
    ],
)
def test_recovery_codes_are_good_where_the_rule_allows_that_means(
    recovery: tuple[RecoveryMeans, ...] | None, usable: tuple[Factor, ...]
) -> None:
    both = (Factor.TOTP, Factor.RECOVERY_CODE)
    rule = _NUDGE.model_copy(update={"factors": both, "recovery": recovery})

    assert rule.usable == usable


def test_what_a_rule_does_not_say_of_recovery_and_disabling_is_allowed() -> None:
    ask = asked([_NUDGE], _SOMEBODY, _STARTS, otherwise=Asked(_OFF, ()))

    assert (ask.recovery, ask.may_disable) == (tuple(RecoveryMeans), tuple(Disabler))


@pytest.mark.parametrize("email_code", [False, True])
def test_a_code_by_e_mail_comes_before_an_enrollment_where_the_rule_says_so(
    email_code: bool,
) -> None:
    rule = _NUDGE.model_copy(update={"email_code": email_code})

    ask = asked([rule], _SOMEBODY, _STARTS, otherwise=Asked(_OFF, ()))
    before = asked([rule], _SOMEBODY, _STARTS - timedelta(days=1), otherwise=Asked(_OFF, ()))

    assert (ask.email_code, before.email_code) == (email_code, False)
