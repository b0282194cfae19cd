from datetime import UTC, datetime, timedelta

import pytest

from contracts.rules import Match, Rule, RuleRequirement, Strength
from contracts.vocabulary import Factor
from services.policy.domain.calendar import due

_STARTS = datetime(2027, 2, 1, 7, tzinfo=UTC)


def _rule(
    requirement: RuleRequirement = RuleRequirement.REQUIRED, starts: datetime | None = _STARTS
) -> Rule:
    return Rule(
        name="students",
        match=Match(),
        starts=starts,
        requirement=requirement,
        factors=(Factor.TOTP,),
        strength=Strength.ANY,
    )


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=14, microseconds=1), []),
        (timedelta(days=14), [14]),
        (timedelta(days=7, microseconds=1), [14]),
        (timedelta(days=7), [7]),
        (timedelta(days=3), [7]),
        (timedelta(days=1), [1]),
        (timedelta(microseconds=1), [1]),
        (timedelta(0), []),
        (timedelta(days=-1), []),
    ],
)
def test_says_the_latest_of_what_has_come(left: timedelta, said: list[int]) -> None:
    assert [days for _, _, days in due([_rule()], _STARTS - left)] == said


def test_only_what_will_be_required_has_a_day() -> None:
    others = [_rule(RuleRequirement.OPTIONAL), _rule(RuleRequirement.OFF), _rule(starts=None)]

    assert list(due(others, _STARTS - timedelta(days=1))) == []


def test_what_can_be_put_off_is_announced_for_the_day_when_it_no_longer_can() -> None:
    enforced = _STARTS + timedelta(days=60)
    nudge = _rule().model_copy(update={"skips": 3, "enforced": enforced})

    assert list(due([nudge], _STARTS - timedelta(days=1))) == []
    assert list(due([nudge], enforced - timedelta(days=1))) == [(nudge, enforced, 1)]
    assert list(due([_rule().model_copy(update={"denied": True})], _STARTS)) == []
