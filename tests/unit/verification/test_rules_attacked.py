"""Attacks on how a published rule is read."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict

from contracts.internal import ResolvedSubject
from contracts.policy import PolicyState
from contracts.rules import (
    Login,
    Match,
    Rule,
    RuleRequirement,
    Strength,
    deciding_rule,
    factors_for,
)
from contracts.vocabulary import Factor, Language

_NOW = datetime(2027, 2, 1, 7, tzinfo=UTC)
_LOGIN = Login(UUID(int=1), UUID(int=3), "student", ("physics",))


@pytest.mark.xfail(
    strict=True,
    reason="Match ignores what it does not know: `off` for one network, say, is `off` for everybody"
    " to a reader of the release before",
)
def test_a_rule_about_what_this_release_cannot_see_lets_nobody_off() -> None:
    written: dict[str, Any] = {
        "name": "in-the-office",
        "match": {"networks": ["10.0.0.0/8"]},
        "starts": None,
        "requirement": "off",
        "factors": [],
        "strength": "any",
    }

    rule = Rule.model_validate(written)

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


@pytest.mark.xfail(
    strict=True,
    reason="an answer without attributes (policy of the release before) reads like somebody who has"
    " none: enrollment passes over each rule about people",
)
def test_a_policy_that_says_nothing_of_attributes_does_not_say_that_there_are_none() -> None:
    said = {"subject_ref": UUID(int=3), "language": "en", "letter": "sealed"}

    before, nobody = (
        ResolvedSubject.model_validate(said),
        ResolvedSubject.model_validate(said | {"user_type": None, "groups": []}),
    )

    assert (before.user_type, before.groups) != (nobody.user_type, nobody.groups)


class _Before(BaseModel):
    """ResolvedSubject of the release before."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    subject_ref: UUID
    language: Language
    letter: str


@pytest.mark.xfail(
    strict=True,
    reason="internal answers are read strictly: enrollment and recovery of the release before take"
    " policy for unreachable as soon as policy says attributes",
)
def test_a_reader_of_the_release_before_understands_whom_policy_means() -> None:
    said = ResolvedSubject(subject_ref=UUID(int=3), language=Language.ENGLISH, letter="sealed")

    assert _Before.model_validate(said.model_dump(mode="json")).subject_ref == UUID(int=3)


@pytest.mark.xfail(
    strict=True,
    reason="one word that this release does not know makes the whole state invalid, and what is"
    " invalid is buried at once: the rules before it stay in force here",
)
@pytest.mark.parametrize("unknown", ["strength", "requirement"])
def test_a_policy_with_a_word_that_this_release_does_not_know_is_not_buried(unknown: str) -> None:
    rule: dict[str, Any] = {
        "name": "all",
        "match": {},
        "starts": None,
        "requirement": "required",
        "factors": ["totp"],
        "strength": "any",
    }
    state = {
        "application_id": UUID(int=1),
        "version": 2,
        "deleted": False,
        "requirement": "off",
        "factors": [],
        "rules": [rule | {unknown: "of_tomorrow"}],
    }

    assert PolicyState.model_validate(state).version == 2
