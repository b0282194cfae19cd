"""Attacks on how a published rule is read."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ValidationError

from contracts.decisions import Asked, Decision, Reason, asked, decide
from contracts.internal import (
    ClaimedContact,
    ClaimedCredential,
    Done,
    NamedSubjects,
    ResolvedSubject,
    ResolveSubject,
)
from contracts.policy import PolicyState
from contracts.rules import (
    Login,
    Match,
    PassedOver,
    Rule,
    RuleRequirement,
    Strength,
    deciding_rule,
    doubt,
    factors_for,
)
from contracts.vocabulary import DecisionKind, Factor

_NOW = datetime(2027, 2, 1, 7, tzinfo=UTC)
_LOGIN = Login(UUID(int=1), UUID(int=3), "student", ("physics",))
_WRITTEN: dict[str, Any] = {
    "name": "all",
    "match": {},
    "starts": None,
    "requirement": "off",
    "factors": [],
    "strength": "any",
}


def test_a_rule_about_what_this_release_cannot_see_lets_nobody_off() -> None:
    rule = Rule.model_validate(_WRITTEN | {"match": {"networks": ["10.0.0.0/8"]}})

    assert deciding_rule((rule,), _LOGIN, _NOW) is None


@pytest.mark.parametrize("factors", [(), (Factor.TOTP,)])
def test_the_strength_of_a_rule_holds_whatever_it_requires(factors: tuple[Factor, ...]) -> None:
    rule = Rule(
        name="delicate",
        match=Match(),
        starts=None,
        requirement=RuleRequirement.OFF,
        factors=factors,
        strength=Strength.PHISHING_RESISTANT,
    )

    assert Factor.TOTP not in factors_for((rule,), _LOGIN, _NOW, otherwise=(Factor.TOTP,))


def test_a_policy_that_says_nothing_of_attributes_does_not_say_that_there_are_none() -> None:
    said = {"subject_ref": UUID(int=3), "language": "en", "letter": "sealed"}

    before, nobody = (
        ResolvedSubject.model_validate(said),
        ResolvedSubject.model_validate(said | {"user_type": None, "groups": []}),
    )

    assert (before.user_type, before.groups) != (nobody.user_type, nobody.groups)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ResolvedSubject, {"subject_ref": UUID(int=3), "language": "en", "letter": "sealed"}),
        (NamedSubjects, {"letter": "sealed"}),
        (ClaimedContact, {"letter": "sealed"}),
        (ClaimedCredential, {"letter": "sealed"}),
        (Done, {"effective": True}),
    ],
)
def test_an_internal_answer_may_say_more_than_its_reader_knows(
    answer: type[BaseModel], said: dict[str, Any]
) -> None:
    assert answer.model_validate(said | {"of_tomorrow": 1}) == answer.model_validate(said)


def test_an_internal_question_that_is_not_understood_whole_is_refused() -> None:
    said = {"tenant": UUID(int=1), "subject": "anna", "public_key": "key", "of_tomorrow": 1}

    with pytest.raises(ValidationError):
        ResolveSubject.model_validate(said)


@pytest.mark.parametrize("unknown", ["strength", "requirement"])
def test_a_policy_with_a_word_that_this_release_does_not_know_is_not_buried(unknown: str) -> None:
    rule = _WRITTEN | {"requirement": "required", "factors": ["totp"]}
    state = {
        "application_id": UUID(int=1),
        "version": 2,
        "deleted": False,
        "requirement": "off",
        "factors": [],
        "rules": [rule | {unknown: "of_tomorrow"}],
    }

    assert PolicyState.model_validate(state).version == 2


@pytest.mark.parametrize(
    ("more", "decision"),
    [
        (
            {"requirement": "of_tomorrow"},
            Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ()),
        ),
        (
            {"requirement": "of_tomorrow", "factors": ["totp"], "skips": 3},
            Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ()),
        ),
        (
            {"strength": "of_tomorrow", "factors": ["totp"]},
            Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ()),
        ),
        (
            {"requirement": "optional", "factors": ["of_tomorrow"]},
            Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ()),
        ),
        (
            {"requirement": "required", "factors": ["of_tomorrow", "totp"]},
            Decision(DecisionKind.CHALLENGE, Reason.REQUIRED, ("totp",)),
        ),
        (
            {"requirement": "optional", "factors": ["of_tomorrow", "sms"]},
            Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ("sms",)),
        ),
        (
            {"requirement": "required", "factors": ["of_tomorrow", "sms"], "skips": 3},
            Decision(DecisionKind.ENROLL, Reason.NOTHING_ENROLLED, ("sms",)),
        ),
        (
            {"requirement": "of_tomorrow", "denied": True},
            Decision(DecisionKind.DENY, Reason.DENIED, ()),
        ),
        ({}, Decision(DecisionKind.ALLOW, Reason.NOT_REQUIRED, ())),
        ({"of_tomorrow": True}, Decision(DecisionKind.ALLOW, Reason.NOT_REQUIRED, ())),
    ],
)
def test_words_of_a_later_release_let_nobody_off(more: dict[str, Any], decision: Decision) -> None:
    rule = Rule.model_validate(_WRITTEN | more)
    terms = Asked(RuleRequirement.OFF, ("totp",))

    ask = asked((rule,), _LOGIN, _NOW, otherwise=terms)

    assert decide(ask, ("totp",)) == decision
    judged = factors_for((rule,), _LOGIN, _NOW, otherwise=(Factor.TOTP,))
    assert (Factor.TOTP in judged) is (
        decision.kind in (DecisionKind.CHALLENGE, DecisionKind.ALLOW)
    )


@pytest.mark.parametrize("wrong", [7, None, ["off"]])
def test_what_is_no_word_at_all_is_broken(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate(_WRITTEN | {"requirement": wrong})


@pytest.mark.parametrize(
    ("requirement", "match", "decides"),
    [
        ("off", {"networks": ["10.0.0.0/8"]}, False),
        ("optional", {"networks": ["10.0.0.0/8"]}, False),
        ("required", {"networks": ["10.0.0.0/8"]}, True),
        ("off", {"networks": []}, True),
        ("off", {"networks": None}, True),
        ("required", {"networks": ["10.0.0.0/8"], "user_types": ["staff"]}, False),
    ],
)
def test_a_criterion_of_a_later_release_may_be_fulfilled_where_that_asks_more(
    requirement: str, match: dict[str, Any], decides: bool
) -> None:
    written = {"requirement": requirement, "match": match, "factors": ["totp"]}
    rule = Rule.model_validate(_WRITTEN | written)

    assert (deciding_rule((rule,), _LOGIN, _NOW) is rule) is decides
    assert (doubt(rule, _LOGIN) is PassedOver.CRITERION) is bool(match["networks"])


_HALF_KNOWN = Login(UUID(int=1), UUID(int=3), known=False)


@pytest.mark.parametrize(
    ("match", "requirement", "decides"),
    [
        ({"user_types": ["student"]}, "required", True),
        ({"user_types": ["student"]}, "off", False),
        ({"groups": ["physics"]}, "optional", False),
        ({"subjects": [UUID(int=3)]}, "off", True),
        ({"subjects": [UUID(int=4)]}, "required", False),
        ({"subjects": [UUID(int=3)], "groups": ["physics"]}, "off", False),
        ({}, "off", True),
    ],
)
def test_who_is_known_by_name_only_is_asked_as_whatever_they_may_be(
    match: dict[str, Any], requirement: str, decides: bool
) -> None:
    rule = Rule.model_validate(_WRITTEN | {"match": match, "requirement": requirement})

    assert (deciding_rule((rule,), _HALF_KNOWN, _NOW) is rule) is decides
