from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from contracts.rules import RuleRequirement, Strength
from contracts.vocabulary import Factor
from services.policy.domain.changes import changes
from services.policy.domain.rules import (
    RulesText,
    digest_of,
    lockouts,
    mistakes,
    published_rules,
    rules_for,
    rules_of_each,
)

_PAYROLL, _MAIL = UUID(int=1), UUID(int=2)
_KNOWN = frozenset({_PAYROLL, _MAIL})
_STUDENTS: dict[str, object] = {
    "name": "students",
    "match": {"user_types": ["student"]},
    "starts": "2027-02-01T08:00",
    "requirement": "required",
    "factors": ["totp"],
}
_NOT_ENROLLABLE = "none of its factors can be enrolled yet"
_NOT_SHOWN = "those of its factors that can be enrolled are good for no login yet"
_STAFF: dict[str, object] = {"name": "staff", "requirement": "optional", "factors": ["totp"]}


def _text(*rules: Mapping[str, object], zone: str = "Europe/Amsterdam") -> RulesText:
    return RulesText.model_validate({"time_zone": zone, "rules": rules})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"match": {"applications": [str(uuid4())]}}, "there is no application"),
        ({"starts": "2027-03-28T02:30"}, "is skipped by the clocks of Europe/Amsterdam"),
        ({"ends": "2027-03-28T02:30"}, "is skipped by the clocks of Europe/Amsterdam"),
        ({"ends": "2027-02-01T08:00"}, "it ends before it starts"),
        ({"factors": ["totp", "recovery_key"]}, "it belongs under recovery"),
        ({"requirement": "deny"}, "no factor is good for it"),
        ({"requirement": "optional", "skips": 3}, "requires nothing that could be put off"),
        ({"enforced": "2027-03-01T08:00"}, "because skips is 0"),
        ({"skips": 3, "enforced": "2027-03-28T02:30"}, "is skipped by the clocks"),
        ({"skips": 3, "enforced": "2027-02-01T07:59"}, "it is enforced before it starts"),
        (
            {"skips": 3, "enforced": "2027-03-01T08:00", "ends": "2027-03-01T08:00"},
            "it ends before it is enforced",
        ),
        ({"requirement": "off", "email_code": True}, "it has nobody enroll"),
        ({"requirement": "deny", "factors": [], "email_code": True}, "it has nobody enroll"),
        ({"factors": []}, "it allows no factor"),
        ({"strength": "phishing_resistant"}, "of the strength phishing_resistant"),
    ],
)
def test_says_which_rule_is_wrong_and_why(change: dict[str, object], words: str) -> None:
    text = _text(_STAFF, _STUDENTS | change)

    assert [found for found in mistakes(text, _KNOWN) if found.startswith("students: ")] == list(
        mistakes(text, _KNOWN)
    )
    assert words in " ".join(mistakes(text, _KNOWN))


def test_finds_nothing_wrong_with_good_rules() -> None:
    payroll = _STUDENTS | {"name": "payroll", "match": {"applications": [str(_PAYROLL)]}}
    nobody = {"name": "nobody", "requirement": "off"}

    assert mistakes(_text(_STUDENTS, payroll, nobody), _KNOWN) == ()


def test_a_name_stands_for_one_rule() -> None:
    assert mistakes(_text(_STAFF, _STAFF), _KNOWN) == ("staff: two rules have this name",)


@pytest.mark.parametrize(
    "rule",
    [
        _STAFF | {"name": "Staff"},
        _STAFF | {"name": ""},
        _STAFF | {"requirement": "maybe"},
        _STAFF | {"factors": ["totp", "totp"]},
        _STAFF | {"factors": ["email"]},
        _STAFF | {"match": {"user_types": [" student"]}},
        _STAFF | {"match": {"sites": ["Delft"]}},
        _STAFF | {"starts": "2027-02-01T08:00Z"},
        _STAFF | {"starts": "soon"},
        _STAFF | {"guesses_a_day": 1000},
        _STAFF | {"remember_days": 31},
        _STAFF | {"remember_days": -1},
        _STAFF | {"skips": -1},
        _STAFF | {"skips": 51},
        _STAFF | {"skips": "3"},
        _STAFF | {"recovery": ["secret_question"]},
        _STAFF | {"recovery": ["recovery_key", "recovery_key"]},
        _STAFF | {"may_disable": ["anybody"]},
        _STAFF | {"email_code": "true"},
        _STAFF | {"email_code": 1},
        _STAFF | {"email_code": None},
        {"name": "staff"},
    ],
)
def test_refuses_what_is_no_rule(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _text(rule)


def test_refuses_a_zone_that_is_none() -> None:
    with pytest.raises(ValidationError):
        _text(zone="Amsterdam")


def test_a_rule_starts_by_the_clocks_of_its_zone() -> None:
    summer = _STUDENTS | {"name": "summer", "starts": "2027-07-01T08:00"}

    starts = [rule.starts for rule in published_rules(_text(_STUDENTS, summer, _STAFF))]

    assert starts == [
        datetime(2027, 2, 1, 7, tzinfo=UTC),
        datetime(2027, 7, 1, 6, tzinfo=UTC),
        None,
    ]


def test_a_rule_ends_by_the_clocks_of_its_zone() -> None:
    [rule] = published_rules(_text(_STUDENTS | {"ends": "2027-07-01T08:00"}))

    assert rule.ends == datetime(2027, 7, 1, 6, tzinfo=UTC)


def test_an_hour_that_comes_twice_means_the_first() -> None:
    [rule] = published_rules(_text(_STUDENTS | {"starts": "2027-10-31T02:30"}))

    assert rule.starts == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


def test_an_application_gets_the_rules_that_can_be_about_it() -> None:
    payroll = _STUDENTS | {"name": "payroll", "match": {"applications": [str(_PAYROLL)]}}
    rules = published_rules(_text(payroll, _STAFF))

    assert [rule.name for rule in rules_for(rules, _PAYROLL)] == ["payroll", "staff"]
    assert [rule.name for rule in rules_for(rules, _MAIL)] == ["staff"]
    assert rules_of_each(rules, [_PAYROLL, _MAIL]) == {
        about: rules_for(rules, about) for about in (_PAYROLL, _MAIL)
    }


def test_the_digest_says_what_the_rules_say() -> None:
    spelled_out = _STAFF | {"match": {}, "starts": None, "strength": "any"}

    assert digest_of(_text(_STAFF)) == digest_of(_text(spelled_out))
    assert digest_of(_text(_STAFF)) != digest_of(_text(_STAFF, zone="UTC"))
    assert digest_of(_text(_STAFF, _STUDENTS)) != digest_of(_text(_STUDENTS, _STAFF))


def test_a_strength_leaves_the_factors_that_have_it() -> None:
    [rule] = published_rules(_text(_STAFF))
    every = rule.model_copy(update={"factors": tuple(Factor), "strength": Strength.ANY})
    no_phones = every.model_copy(update={"strength": Strength.NO_PHONE_NETWORK})
    strong = every.model_copy(update={"strength": Strength.PHISHING_RESISTANT})

    assert set(every.usable) == set(Factor)
    assert set(every.usable) - set(no_phones.usable) == {Factor.SMS, Factor.VOICE}
    assert strong.usable == (Factor.PASSKEY,)


def test_tells_every_change() -> None:
    before = _text(_STAFF, _STUDENTS, {"name": "guests", "requirement": "off"})
    firmer = _STUDENTS | {"starts": None, "requirement": "optional"}
    after = _text(firmer, {"name": "board", "requirement": "off"}, _STAFF, zone="UTC")

    assert changes(before, after) == (
        "time_zone: Europe/Amsterdam -> UTC",
        "- guests: removed",
        "~ students: starts 2027-02-01T08:00:00 -> none",
        "~ students: requirement required -> optional",
        "+ board: added at place 2, requirement off",
        "order: staff, students -> students, staff",
    )
    assert changes(before, before) == ()


def test_tells_whom_a_rule_is_about() -> None:
    after = _text(_STUDENTS | {"match": {"groups": ["a", "b"]}})

    assert changes(_text(_STUDENTS), after) == (
        "~ students: match (user_types student) -> (groups a b)",
    )
    assert changes(after, _text(_STUDENTS | {"match": {}})) == (
        "~ students: match (groups a b) -> everybody",
    )


def test_the_words_of_a_requirement_are_those_that_are_published() -> None:
    [rule] = published_rules(_text(_STAFF))

    assert rule.requirement is RuleRequirement.OPTIONAL


@pytest.mark.parametrize(
    ("change", "no_way"),
    [
        ({}, None),
        *[({"factors": [one]}, None) for one in ("hotp", "pin", "recovery_code")],
        *[({"factors": [one]}, _NOT_SHOWN) for one in ("sms", "voice", "passkey")],
        ({"factors": ["sms", "voice", "passkey"]}, _NOT_SHOWN),
        ({"factors": ["push"]}, _NOT_ENROLLABLE),
        ({"factors": ["push", "sms"]}, _NOT_SHOWN),
        ({"factors": ["push", "sms", "totp"]}, None),
        ({"factors": ["sms", "totp"], "strength": "no_phone_network"}, None),
        ({"factors": ["passkey", "totp"], "strength": "phishing_resistant"}, _NOT_SHOWN),
        ({"factors": ["recovery_code"], "recovery": []}, _NOT_ENROLLABLE),
        ({"factors": ["push"], "requirement": "optional"}, None),
        ({"factors": [], "requirement": "deny"}, None),
    ],
)
def test_says_which_rule_would_let_nobody_new_in(
    change: dict[str, object], no_way: str | None
) -> None:
    text = _text(_STUDENTS | change)
    words = (f"students: {no_way}",) if no_way is not None else ()

    assert (mistakes(text, _KNOWN), lockouts(text)) == ((), words)


def test_a_code_by_e_mail_is_published_and_told() -> None:
    before, after = _text(_STAFF), _text(_STAFF | {"email_code": True})

    assert [rule.email_code for text in (before, after) for rule in published_rules(text)] == [
        False,
        True,
    ]
    assert changes(before, after) == ("~ staff: email_code false -> true",)


def test_who_is_denied_is_let_in_by_no_reader() -> None:
    [rule] = published_rules(_text({"name": "left", "requirement": "deny"}))

    assert rule.denied
    # What a reader of an earlier release makes of it:
    assert rule.requirement is RuleRequirement.REQUIRED
    assert (rule.usable, rule.remember_days) == ((), 0)


def test_a_rule_is_enforced_by_the_clocks_of_its_zone() -> None:
    nudge = {"skips": 3, "enforced": "2027-07-01T08:00"}
    [rule] = published_rules(_text(_STUDENTS | nudge))

    assert (rule.skips, rule.enforced) == (3, datetime(2027, 7, 1, 6, tzinfo=UTC))


def test_what_is_not_said_changes_no_digest() -> None:
    said = _STAFF | {"skips": 0, "enforced": None, "recovery": None, "email_code": False}

    assert digest_of(_text(_STAFF)) == digest_of(_text(said))
    assert digest_of(_text(_STAFF)) != digest_of(_text(_STAFF | {"recovery": []}))
    assert digest_of(_text(_STAFF)) != digest_of(_text(_STAFF | {"email_code": True}))
