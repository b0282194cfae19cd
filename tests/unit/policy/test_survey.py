"""What rules mean for people who are alike, and for their logins."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.decisions import Asked, decide
from contracts.rules import Login, Match, Rule, RuleRequirement, Strength
from contracts.vocabulary import DecisionKind, Factor, Requirement
from services.policy.domain.policy import Terms
from services.policy.domain.survey import (
    Fate,
    Observed,
    Reach,
    fate_at,
    mentioned,
    no_survey,
    survey,
    worst,
)
from services.policy.domain.ways import Alike, Asker, ways_of
from services.verification.domain.decision import Policy, asked

_NOW = datetime(2027, 2, 1, 7, tzinfo=UTC)
_PAYROLL, _MAIL, _ANNA = UUID(int=1), UUID(int=2), UUID(int=3)
_OFF = Terms(Requirement.OFF, frozenset())
_TOTP = Terms(Requirement.REQUIRED, frozenset({Factor.TOTP}))
_REQUIRED = RuleRequirement.REQUIRED


def rule(name: str = "students", match: dict[str, Any] | None = None, **said: Any) -> Rule:
    about = {"user_types": ("student",)} if match is None else match
    return Rule.model_validate(
        {
            "name": name,
            "match": about,
            "starts": None,
            "requirement": _REQUIRED,
            "factors": (Factor.TOTP,),
            "strength": Strength.ANY,
        }
        | said
    )


def asking(
    *rules: Rule, terms: Terms = _OFF, applications: Sequence[UUID] = (_PAYROLL,)
) -> list[Asker]:
    ways = ways_of((terms, rules) for _ in applications)
    return [Asker(one, "An application", way) for one, way in zip(applications, ways, strict=True)]


def alike(*factors: str, user_type: str | None = "student") -> Alike:
    return Alike(user_type, (), None, factors)


@pytest.mark.parametrize(
    ("after", "who", "before_and_after"),
    [
        (rule(), alike(), (Fate.ALLOW, Fate.ENROLL)),
        (rule(skips=2), alike(), (Fate.ALLOW, Fate.PUT_OFF)),
        (rule(skips=2, enforced=_NOW), alike(), (Fate.ALLOW, Fate.ENROLL)),
        (rule(), alike("totp"), (Fate.ALLOW, Fate.CHALLENGE)),
        (rule(), alike("pin"), (Fate.ALLOW, Fate.ENROLL)),
        (rule(), alike(user_type=None), (Fate.ALLOW, Fate.ALLOW)),
        (rule(starts=_NOW + timedelta(seconds=1)), alike(), (Fate.ALLOW, Fate.ALLOW)),
        (rule(starts=_NOW), alike(), (Fate.ALLOW, Fate.ENROLL)),
        (rule(denied=True, factors=()), alike("totp"), (Fate.ALLOW, Fate.DENY)),
    ],
)
def test_people_meet_what_the_rules_say(
    after: Rule, who: Alike, before_and_after: tuple[Fate, Fate]
) -> None:
    found = survey({who: 7}, [], before=asking(), after=asking(after), at=_NOW)

    met_before, met_after = before_and_after
    assert (found.people, found.everybody.before, found.everybody.after) == (
        *(7, {met_before: 7}),
        {met_after: 7},
    )
    moved = {} if met_before is met_after else {(met_before, met_after): 7}
    assert found.everybody.moves == found.by_application[_PAYROLL].moves == moved


def test_everybody_counts_once_with_the_hardest_of_what_they_meet() -> None:
    both = asking(rule(), terms=_OFF, applications=(_PAYROLL, _MAIL))
    [easy], [hard] = asking(applications=(_MAIL,)), asking(rule())

    found = survey({alike(): 3}, [], before=both, after=[hard, easy], at=_NOW)

    assert found.everybody.after == {Fate.ENROLL: 3}
    assert found.by_application[_MAIL].after == {Fate.ALLOW: 3}
    assert worst([]) is Fate.ALLOW
    assert [worst(pair) for pair in product(Fate, Fate)] == [
        max(pair, key=list(Fate).index) for pair in product(Fate, Fate)
    ]


def test_a_rule_is_about_a_person_once_and_says_who_is_ready() -> None:
    after = asking(rule(), applications=(_PAYROLL, _MAIL))
    people = {alike(): 5, alike("totp", "pin"): 2, alike("totp", user_type=None): 9}

    found = survey(people, [], before=after, after=after, at=_NOW)

    assert found.by_rule == {"students": Reach(_REQUIRED, False, people=7, ready=2)}
    assert found.everybody.moves == {}


@pytest.mark.parametrize(
    ("after", "who", "by", "became"),
    [
        (rule(), alike("totp"), Factor.TOTP, "as_before"),
        (rule(factors=(Factor.SMS, Factor.TOTP)), alike("sms", "totp"), Factor.TOTP, "as_before"),
        (rule(factors=(Factor.SMS,)), alike("sms", "totp"), Factor.TOTP, "by_another_factor"),
        (rule(factors=(Factor.SMS,)), alike("totp"), Factor.TOTP, "enrolling"),
        (rule(requirement=RuleRequirement.OFF), alike("totp"), Factor.TOTP, "not_asked"),
        (rule(denied=True, factors=()), alike("totp"), Factor.TOTP, "denied"),
    ],
)
def test_logins_are_gone_through_again(after: Rule, who: Alike, by: Factor, became: str) -> None:
    seen = [Observed(who, _PAYROLL, by, 11), Observed(who, _MAIL, by, 100)]

    found = survey({}, seen, before=asking(), after=asking(after), at=_NOW).logins

    assert getattr(found, became) == 11
    assert found.observed == 11, "an application where nobody logs in any more counts nothing"


def test_people_who_are_looked_at_in_portions_are_counted_as_all_at_once() -> None:
    before = asking(rule(factors=(Factor.SMS,)), applications=(_PAYROLL, _MAIL))
    after = asking(rule(skips=1), applications=(_PAYROLL,))
    after += asking(rule(denied=True, factors=()), terms=_TOTP, applications=(_MAIL,))
    people = {alike(): 5, alike("totp", "pin"): 2, alike("totp", user_type=None): 9}
    seen = [Observed(who, _MAIL, Factor.TOTP, 10 + n) for n, who in enumerate(people)]
    said = partial(survey, before=before, after=after, at=_NOW)

    found = no_survey(before, after)
    for one in people.items():
        said(dict([one]), [], found=found)
    for login in seen:
        said({}, [login], found=found)

    assert found == said(people, seen)
    assert (found.people, found.logins.observed) == (16, 33)


def test_messages_are_those_that_would_have_been_sent() -> None:
    rules = asking(rule(factors=(Factor.VOICE, Factor.SMS, Factor.TOTP)))
    seen = [
        Observed(alike("sms", "voice"), _PAYROLL, Factor.SMS, 1),
        Observed(alike("sms", "voice"), _PAYROLL, Factor.PIN, 10),
        Observed(alike("sms"), _PAYROLL, Factor.PIN, 100),
        Observed(alike("sms", "totp"), _PAYROLL, Factor.TOTP, 1000),
    ]

    found = survey({}, seen, before=rules, after=rules, at=_NOW).logins

    assert found.messages == {Factor.SMS: 101, Factor.VOICE: 10}


def test_who_is_mentioned_makes_a_difference() -> None:
    about = rule(match={"user_types": ("b", "a"), "groups": ("g",), "subjects": (_ANNA,)})

    assert mentioned([about], [rule()]) == (["a", "b", "student"], ["g"], [_ANNA])


_RULES = st.lists(
    st.builds(
        Rule,
        name=st.uuids().map(str),
        match=st.builds(
            Match,
            applications=st.sampled_from([(), (_PAYROLL,), (_MAIL,)]),
            user_types=st.sampled_from([(), ("student",), ("staff",)]),
            groups=st.sampled_from([(), ("a",), ("b", "c")]),
            subjects=st.sampled_from([(), (_ANNA,)]),
        ),
        starts=st.sampled_from([None, _NOW, _NOW + timedelta(days=1)]),
        requirement=st.sampled_from(RuleRequirement),
        factors=st.sampled_from([(Factor.TOTP,), (Factor.SMS, Factor.TOTP), (Factor.PASSKEY,)]),
        strength=st.sampled_from(Strength),
        denied=st.booleans(),
        skips=st.integers(0, 2),
        enforced=st.sampled_from([None, _NOW]),
    ),
    max_size=4,
)


@given(
    rules=_RULES,
    terms=st.sampled_from([_OFF, _TOTP]),
    user_type=st.sampled_from([None, "student", "staff", "guest"]),
    groups=st.sampled_from([(), ("a",), ("b",), ("a", "c"), ("x",)]),
    subject=st.sampled_from([_ANNA, UUID(int=4)]),
    factors=st.sampled_from([(), ("totp",), ("sms",), ("passkey", "totp")]),
)
def test_a_simulation_says_what_verification_will_decide(
    rules: list[Rule],
    terms: Terms,
    user_type: str | None,
    groups: tuple[str, ...],
    subject: UUID,
    factors: tuple[str, ...],
) -> None:
    policy = Policy(
        version=1,
        required=terms.requirement is Requirement.REQUIRED,
        factors=tuple(terms.factors),
        rules=tuple(one for one in rules if _PAYROLL in (one.match.applications or (_PAYROLL,))),
    )
    decided = decide(asked(policy, Login(_PAYROLL, subject, user_type, groups), _NOW), factors)
    types, words, subjects = mentioned(rules)
    who = Alike(
        user_type if user_type in types else None,
        tuple(word for word in groups if word in words),
        subject if subject in subjects else None,
        factors,
    )

    fate = fate_at(asking(*policy.rules, terms=terms), who, _NOW)

    expected = {
        DecisionKind.ALLOW: Fate.ALLOW,
        DecisionKind.CHALLENGE: Fate.CHALLENGE,
        DecisionKind.ENROLL: Fate.PUT_OFF if decided.skips_left else Fate.ENROLL,
        DecisionKind.DENY: Fate.DENY,
    }
    assert fate is expected[decided.kind]


def test_applications_that_ask_the_same_share_a_way() -> None:
    here = rule("here", match={"applications": (_PAYROLL,)})
    there = rule("here", match={"applications": (_MAIL,)})
    ways = ways_of([(_OFF, (here,)), (_OFF, (there,)), (_TOTP, (here,))])

    assert ways[0] is ways[1]
    assert ways[0] is not ways[2]
    assert ways[0].asked(alike(), _NOW) == Asked(_REQUIRED, (Factor.TOTP,), "here")
