"""Whether a decision is a matter of time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules import Login, Match, Rule, RuleRequirement, Strength
from contracts.vocabulary import Factor
from services.verification.domain.decision import Policy, asked, is_matter_of_time

_NOW = datetime(2027, 2, 1, 7, tzinfo=UTC)
_STUDENT = Login(UUID(int=1), UUID(int=3), "student", ())
_STRANGER = Login(UUID(int=1), known=False)


def _rule(user_type: str | None = None, **more: Any) -> Rule:
    match = Match(user_types=(user_type,) if user_type else ())
    said = {"name": "rule", "match": match, "starts": None, "factors": (Factor.TOTP,)}
    of = {"requirement": RuleRequirement.REQUIRED, "strength": Strength.ANY}
    return Rule(**(said | of | more))


@pytest.mark.parametrize(
    ("rules", "depends"),
    [
        ((), False),
        ((_rule(),), False),
        ((_rule(starts=_NOW),), True),
        ((_rule(ends=_NOW),), True),
        ((_rule(enforced=_NOW, skips=2),), True),
        ((_rule(), _rule(starts=_NOW)), False),
        ((_rule("staff", starts=_NOW), _rule()), False),
        ((_rule("student", starts=_NOW), _rule()), True),
        ((_rule("staff"), _rule(ends=_NOW)), True),
    ],
)
def test_it_is_where_a_rule_about_the_login_has_a_time(
    rules: tuple[Rule, ...], depends: bool
) -> None:
    policy = Policy(1, required=False, factors=(), rules=rules)

    assert is_matter_of_time(policy, _STUDENT) is depends


_times = st.sampled_from([None, *(_NOW + timedelta(days=day) for day in range(3))])
_rules = st.lists(
    st.builds(
        _rule,
        st.sampled_from([None, "student", "staff"]),
        starts=_times,
        ends=_times,
        enforced=_times,
        skips=st.integers(0, 2),
        requirement=st.sampled_from(RuleRequirement),
    ),
    max_size=4,
).map(tuple)


@given(_rules, st.sampled_from([_STUDENT, _STRANGER]), st.integers(-1, 3), st.integers(-1, 3))
def test_what_is_none_is_the_same_at_all_times(
    rules: tuple[Rule, ...], login: Login, one: int, other: int
) -> None:
    policy = Policy(1, required=False, factors=(Factor.TOTP,), rules=rules)

    if not is_matter_of_time(policy, login):
        at = [_NOW + timedelta(days=day) for day in (one, other)]
        assert asked(policy, login, at[0]) == asked(policy, login, at[1])
