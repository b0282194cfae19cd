from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.rules import Match, Rule
from contracts.vocabulary import Requirement
from services.policy.domain import weakening
from services.policy.domain.policy import STANDARD_TERMS, Terms
from services.policy.domain.weakening import InForce, weakenings

_MAIL, _PAYROLL = UUID(int=1), UUID(int=2)
_ANNA, _BERT = UUID(int=11), UUID(int=12)
_JANUARY = datetime(2027, 1, 1, tzinfo=UTC)
_TERMS = {_MAIL: STANDARD_TERMS, _PAYROLL: STANDARD_TERMS}
_NO_TERMS = {one: Terms(Requirement.OFF, frozenset()) for one in _TERMS}


def _rule(name: str, **said: Any) -> Rule:
    whole: dict[str, Any] = {
        "match": {},
        "starts": None,
        "requirement": "required",
        "factors": ["totp"],
        "strength": "any",
    }
    return Rule.model_validate(whole | {"name": name} | said)


_ALL = _rule("all")
_STAFF = _rule("staff", match={"user_types": ["staff"]})
_STUDENTS = _rule("students", match={"groups": ["students"]}, requirement="optional")
_DENIED = {"denied": True, "factors": [], "strength": "phishing_resistant"}
_NUDGE = {"skips": 3, "enforced": _JANUARY}


def _found(
    before: Sequence[Rule],
    after: Sequence[Rule],
    terms: Mapping[UUID, Terms] = _NO_TERMS,
) -> tuple[str, ...]:
    return weakenings(InForce(before, terms), InForce(after, terms))


@pytest.mark.requirement("C1")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], []),
        ([_STAFF, _STUDENTS, _ALL], [_STAFF, _STUDENTS, _ALL]),
        ([], [_STAFF]),
        ([_STUDENTS], [_STAFF, _STUDENTS]),
        ([_STUDENTS], [_rule("locked", match={"groups": ["students"]}, **_DENIED), _STUDENTS]),
        ([_rule("all", starts=_JANUARY)], [_ALL]),
        ([_rule("all", ends=_JANUARY)], [_ALL]),
        ([_ALL], [_rule("all", ends=_JANUARY), _rule("later", starts=_JANUARY)]),
        ([_rule("all", requirement="optional")], [_ALL]),
        ([_rule("all", factors=["totp", "sms"])], [_ALL]),
        ([_rule("all", remember_days=7)], [_rule("all", remember_days=6)]),
        ([_rule("all", remember_days=None)], [_rule("all", remember_days=0)]),
        ([_rule("all", **_NUDGE)], [_rule("all", **_NUDGE | {"skips": 2})]),
        (
            [_rule("all", **_NUDGE)],
            [_rule("all", **_NUDGE | {"enforced": _JANUARY - timedelta(1)})],
        ),
        ([_ALL], [_rule("all", recovery=["recovery_key"])]),
        ([_ALL], [_rule("all", may_disable=[])]),
        ([_ALL], [_rule("all", email_code=True)]),
        ([_rule("all", email_code=True)], [_rule("all", email_code=True)]),
        ([_rule("all", email_code=True)], [_rule("all", **_DENIED)]),
        ([_rule("all", requirement="off")], [_rule("all", requirement="off", remember_days=30)]),
        ([_rule("x", match={"subjects": [_ANNA]}), _ALL], [_ALL]),
        ([_rule("x", requirement="off", match={"subjects": [_ANNA]}), _ALL], [_ALL]),
        ([_STAFF, _STUDENTS], [_STUDENTS.model_copy(update={"match": Match()}), _STAFF][::-1]),
        ([_rule("gone", match={"applications": [UUID(int=99)]})], []),
    ],
)
def test_what_asks_nobody_for_less_is_harmless(before: list[Rule], after: list[Rule]) -> None:
    assert _found(before, after) == ()


@pytest.mark.requirement("C1")
@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([_ALL], [], "the application's own policy instead of all: off instead of required"),
        ([_ALL], [_rule("all", requirement="optional")], "all: optional instead of required"),
        ([_rule("all", requirement="optional")], [], "off instead of optional"),
        ([_rule("all", **_DENIED)], [_ALL], "all: required instead of deny"),
        ([_ALL], [_rule("x", requirement="off", match={"subjects": [_ANNA]}), _ALL], "x instead"),
        ([_ALL], [_rule("x", requirement="off", match={"groups": ["g"]}), _ALL], "x instead"),
        ([_STAFF, _STUDENTS], [_STUDENTS, _STAFF], "students instead of staff: optional"),
        ([_ALL], [_rule("all", starts=_JANUARY)], "off instead of required"),
        ([_ALL], [_rule("all", ends=_JANUARY)], "off instead of required"),
        (
            [_rule("all", starts=_JANUARY)],
            [_rule("all", starts=_JANUARY + timedelta(microseconds=1))],
            "off instead of required",
        ),
        ([_ALL], [_rule("all", factors=["totp", "sms"])], "all: sms is good enough, too"),
        (
            [_rule("all", requirement="optional", factors=["totp", "sms"])],
            [_rule("all", requirement="optional")],
            "all: nothing is asked of who has only sms",
        ),
        (
            [_rule("all", requirement="optional", factors=["totp", "sms"])],
            [_rule("all", **_NUDGE)],
            "all: nothing is asked of who has only sms",
        ),
        (
            [_rule("all", remember_days=7)],
            [_rule("all", remember_days=8)],
            "devices are remembered for 8 days instead of 7 days",
        ),
        ([_rule("all", remember_days=30)], [_ALL], "for the operator's days instead of 30 days"),
        ([_ALL], [_rule("all", remember_days=1)], "for 1 days instead of the operator's days"),
        ([_ALL], [_rule("all", **_NUDGE)], "enrolling may be put off 3 times, and 0 before"),
        (
            [_rule("all", **_NUDGE)],
            [_rule("all", **_NUDGE | {"enforced": _JANUARY + timedelta(1)})],
            "enrolling may be put off 3 times, and 0 before",
        ),
        ([_rule("all", **_NUDGE)], [_rule("anew", **_NUDGE)], "may be put off 3 times, and 3"),
        ([_rule("all", recovery=["recovery_key"])], [_ALL], "recovery also by backup_email"),
        ([_rule("all", may_disable=["administrator"])], [_ALL], "disabled also by the person"),
        ([_rule("all", email_code=True)], [_ALL], "all: an enrollment opens without a code"),
        (
            [_rule("all", email_code=True, requirement="optional")],
            [_ALL],
            "all: an enrollment opens without a code",
        ),
        (
            [_rule("all", email_code=True)],
            [_rule("x", match={"groups": ["g"]}), _rule("all", email_code=True)],
            "x instead of all: an enrollment opens without a code",
        ),
        # Whoever is unknown was asked as staff, whatever they are.
        ([_STAFF], [_rule("staff", match={"user_types": ["staff"]}, requirement="off")], "staff"),
        # Nobody is of both types, but an unknown person may be of either.
        (
            [_rule("guests", match={"user_types": ["guest"]}, **_DENIED), _STAFF],
            [_STAFF, _rule("guests", match={"user_types": ["guest"]}, **_DENIED)],
            "staff instead of guests: required instead of deny",
        ),
        (
            [_rule("both", match={"applications": [_MAIL, _PAYROLL]})],
            [_rule("both", match={"applications": [_MAIL]})],
            "the application's own policy instead of both",
        ),
    ],
)
def test_what_asks_somebody_for_less_is_said(
    before: list[Rule], after: list[Rule], words: str
) -> None:
    assert words in "\n".join(_found(before, after))


def test_an_applications_own_policy_counts_where_no_rule_decides() -> None:
    weaker = {**_TERMS, _MAIL: Terms(Requirement.OFF, frozenset())}
    mail_is_covered = [_rule("mail", match={"applications": [_MAIL]})]
    staff_only = [_STAFF]

    def compared(rules: list[Rule]) -> tuple[str, ...]:
        return weakenings(InForce(rules, _TERMS), InForce(rules, weaker))

    assert compared([]) == ("the application's own policy: off instead of required",)
    assert compared(mail_is_covered) == ()
    assert compared(staff_only) != ()
    assert weakenings(InForce([], weaker), InForce([], _TERMS)) == ()


def test_taking_a_rule_away_is_harmless_where_the_own_policy_asks_as_much() -> None:
    assert _found([_ALL], [], _TERMS) == ()
    assert _found([_ALL], [], {**_TERMS, _MAIL: Terms(Requirement.OFF, frozenset())}) != ()


def test_long_lists_are_compared_or_not_called_harmless() -> None:
    many = [
        _rule(
            f"r{n}",
            match={"groups": [f"g{n}", f"g{n + 1}"]},
            requirement=("optional", "required")[n % 2],
            ends=_JANUARY + timedelta(n),
        )
        for n in range(200)
    ]
    front = _rule("front", match={"groups": ["new"]}, **_DENIED)

    same, stricter = _found(many, many), _found(many, [front, *many[:199]], _TERMS)
    found = _found(many, many[::-1])

    assert same == ()
    assert stricter == ()
    assert found


def test_what_takes_too_many_looks_is_called_weaker(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("optional", "required")
    before = [
        _rule(f"r{n}", match={"groups": [f"g{n}", f"g{n + 1}"]}, requirement=kinds[n % 2])
        for n in range(6)
    ]
    words = "these rules are too many to be compared"
    assert words not in _found(before, before[::-1], _NO_TERMS)

    monkeypatch.setattr(weakening, "_MOST_LOOKS", 0)

    assert words in _found(before, before[::-1], _NO_TERMS)
