"""Which rule decides about whom, and when."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules import (
    Login,
    Match,
    PassedOver,
    Rule,
    RuleRequirement,
    Strength,
    deciding_rule,
    passed_over,
)
from contracts.vocabulary import Factor
from services.verification.domain.decision import Policy, asked, explained, in_doubt

_NOW = datetime(2027, 2, 1, 7, tzinfo=UTC)
_PAYROLL, _MAIL, _ANNA = UUID(int=1), UUID(int=2), UUID(int=3)
_STUDENT = Login(_PAYROLL, _ANNA, "student", ("physics", "2026"))
_STRANGER = Login(_PAYROLL, known=False)


def rule(
    name: str = "rule",
    requirement: RuleRequirement = RuleRequirement.REQUIRED,
    starts: datetime | None = None,
    **match: Any,
) -> Rule:
    return Rule(
        name=name,
        match=Match.model_validate(match),
        starts=starts,
        requirement=requirement,
        factors=(Factor.TOTP,),
        strength=Strength.ANY,
    )


@pytest.mark.requirement("B1")
@pytest.mark.parametrize(
    ("match", "why"),
    [
        ({}, None),
        ({"applications": (_PAYROLL, _MAIL)}, None),
        ({"applications": (_MAIL,)}, PassedOver.APPLICATION),
        ({"subjects": (_ANNA,)}, None),
        ({"subjects": (_MAIL,)}, PassedOver.SUBJECT),
        ({"user_types": ("staff", "student")}, None),
        ({"user_types": ("staff",)}, PassedOver.USER_TYPE),
        ({"groups": ("2026", "2027")}, None),
        ({"groups": ("2027",)}, PassedOver.GROUP),
        ({"user_types": ("student",), "groups": ("2027",)}, PassedOver.GROUP),
        ({"applications": (_MAIL,), "groups": ("2026",)}, PassedOver.APPLICATION),
    ],
)
def test_a_rule_is_about_those_whom_all_its_lists_name(
    match: dict[str, Any], why: PassedOver | None
) -> None:
    assert passed_over(rule(**match), _STUDENT, _NOW) is why


@pytest.mark.requirement("B1")
def test_a_rule_counts_from_the_moment_at_which_it_starts() -> None:
    begins = rule(starts=_NOW)

    assert deciding_rule([begins], _STUDENT, _NOW) is begins
    assert deciding_rule([begins], _STUDENT, _NOW - timedelta(microseconds=1)) is None


def test_an_exception_ends_at_its_moment() -> None:
    exception = rule("exception", RuleRequirement.OFF).model_copy(update={"ends": _NOW})
    rules, before = [exception, rule("all")], _NOW - timedelta(microseconds=1)

    assert deciding_rule(rules, _STUDENT, before) is exception
    assert deciding_rule(rules, _STUDENT, _NOW) is rules[1]
    assert passed_over(exception, _STUDENT, _NOW) is PassedOver.ENDED


def test_the_first_that_matches_decides() -> None:
    off = rule("off", RuleRequirement.OFF, user_types=("student",))
    other = rule("other", user_types=("staff",))

    assert deciding_rule([other, off, rule()], _STUDENT, _NOW) is off


@pytest.mark.parametrize(
    ("rules", "decides"),
    [
        ((rule("students", user_types=("student",)),), "students"),
        ((rule("off", RuleRequirement.OFF, groups=("board",)), rule("all")), "all"),
        ((rule("off", RuleRequirement.OFF), rule("students", user_types=("student",))), "off"),
        ((rule("one", RuleRequirement.OPTIONAL, subjects=(_ANNA,)),), None),
        ((rule("mail", applications=(_MAIL,)),), None),
    ],
)
def test_nobody_gets_in_because_their_attributes_are_on_the_way(
    rules: tuple[Rule, ...], decides: str | None
) -> None:
    found = deciding_rule(rules, _STRANGER, _NOW)

    assert (found.name if found is not None else None) == decides


_ids = st.sampled_from([_PAYROLL, _MAIL, _ANNA])
_words = st.sampled_from(["student", "staff", "physics"])
_some = st.lists(_words, max_size=2).map(tuple)
_rules = st.lists(
    st.builds(
        lambda requirement, applications, user_types, groups, subjects: rule(
            uuid4().hex,
            requirement,
            applications=applications,
            user_types=user_types,
            groups=groups,
            subjects=subjects,
        ),
        st.sampled_from(RuleRequirement),
        st.lists(_ids, max_size=1).map(tuple),
        _some,
        _some,
        st.lists(_ids, max_size=1).map(tuple),
    ),
    max_size=6,
)


@given(_rules, _ids, _words, _some)
def test_what_a_stranger_is_asked_is_never_less_than_what_everybody_could_be_asked(
    rules: list[Rule], subject: UUID, user_type: str, groups: tuple[str, ...]
) -> None:
    person = deciding_rule(rules, Login(_PAYROLL, subject, user_type, groups), _NOW)
    stranger = deciding_rule(rules, _STRANGER, _NOW)

    if person is not None and person.requirement is RuleRequirement.REQUIRED:
        assert stranger is not None
        assert rules.index(stranger) <= rules.index(person)
        required_or_for_all = stranger.requirement is RuleRequirement.REQUIRED or not (
            stranger.match.user_types or stranger.match.groups or stranger.match.subjects
        )
        assert required_or_for_all


@given(_rules, _words, _some)
def test_the_explanation_ends_where_a_rule_decides(
    rules: list[Rule], user_type: str, groups: tuple[str, ...]
) -> None:
    policy = Policy(1, required=True, factors=(Factor.TOTP,), rules=tuple(rules))
    for login in (Login(_PAYROLL, _ANNA, user_type, groups), _STRANGER):
        ask = asked(policy, login, _NOW)
        names = [rule.name for rule in rules]
        told = [name for name, _ in explained(policy, login, _NOW)]

        assert told == names[: names.index(ask.rule) if ask.rule else len(names)]


@pytest.mark.requirement("B1")
@pytest.mark.parametrize(
    ("login", "match", "why"),
    [
        (_STRANGER, {"user_types": ("student",)}, PassedOver.UNKNOWN_PERSON),
        (_STRANGER, {"subjects": (_ANNA,)}, PassedOver.UNKNOWN_PERSON),
        (_STRANGER, {"applications": (_PAYROLL,)}, None),
        (Login(_PAYROLL, _ANNA, known=False), {"subjects": (_ANNA,)}, None),
        (Login(_PAYROLL, _ANNA, known=False), {"groups": ("2026",)}, PassedOver.UNKNOWN_PERSON),
        (_STUDENT, {"groups": ("2026",)}, None),
        (_STUDENT, {"networks": ("inside",)}, PassedOver.CRITERION),
        (_STUDENT, {"user_types": ("staff",)}, None),
    ],
)
def test_the_rule_that_decides_says_whether_it_is_in_doubt(
    login: Login, match: dict[str, Any], why: PassedOver | None
) -> None:
    policy = Policy(1, True, (Factor.TOTP,), (rule(**match), rule("all")))

    assert in_doubt(policy, login, _NOW) is why
    assert in_doubt(Policy(1, True, (Factor.TOTP,)), login, _NOW) is None
