from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from time import process_time
from typing import Any
from uuid import UUID

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from contracts.decisions import Asked, asked, decide
from contracts.rules import (
    Disabler,
    Login,
    Match,
    RecoveryMeans,
    Rule,
    RuleRequirement,
    Strength,
    deciding_rule,
)
from contracts.vocabulary import DecisionKind, Factor, Requirement
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
        # Whoever is unknown was asked as staff, whatever they are.
        ([_STAFF], [_rule("staff", match={"user_types": ["staff"]}, requirement="off")], "staff"),
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


def test_long_lists_are_compared_in_time_or_not_called_harmless() -> None:
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

    began = process_time()
    same, stricter = _found(many, many), _found(many, [front, *many[:199]], _TERMS)
    found = _found(many, many[::-1])
    took = process_time() - began

    assert same == ()
    assert stricter == ()
    assert found
    assert took < 5


_types, _groups = st.sampled_from(["staff", "student"]), st.sampled_from(["a", "b", "c"])
_times = st.none() | st.integers(0, 3).map(lambda n: _JANUARY + timedelta(n))
_match = st.just(Match()) | st.builds(
    Match,
    applications=st.sampled_from([(), (), (_MAIL,), (_PAYROLL,), (_MAIL, _PAYROLL)]),
    user_types=st.lists(_types, max_size=1).map(tuple),
    groups=st.lists(_groups, max_size=2).map(tuple),
    subjects=st.sampled_from([(), (), (), (_ANNA,), (_ANNA, _BERT)]),
)
_factors = st.sampled_from([("totp",), ("totp", "sms"), ("sms",), ("passkey", "totp")])
_rules = st.builds(
    Rule,
    name=st.sampled_from(["one", "two"]),
    match=_match,
    starts=_times,
    ends=_times,
    enforced=_times,
    requirement=st.sampled_from(RuleRequirement),
    factors=_factors,
    strength=st.sampled_from(Strength),
    remember_days=st.sampled_from([None, 0, 7]),
    denied=st.sampled_from([False, False, False, True]),
    skips=st.sampled_from([0, 0, 1, 2]),
    recovery=st.sampled_from([None, (), (RecoveryMeans.RECOVERY_KEY,)]),
    may_disable=st.sampled_from([tuple(Disabler), (), (Disabler.ADMINISTRATOR,)]),
).map(lambda rule: rule.model_copy(update={"requirement": _published(rule)}))
_lists = st.lists(_rules, min_size=1, max_size=3)


def _published(rule: Rule) -> RuleRequirement:
    """Return how policy writes a rule that denies."""
    return RuleRequirement.REQUIRED if rule.denied else rule.requirement


_FIELDS = [name for name in Rule.model_fields if name != "name"] + ["factors", "skips"]


@st.composite
def _changed(draw: st.DrawFn) -> tuple[list[Rule], list[Rule]]:
    """Return rules and what somebody could make of them."""
    before = draw(_lists)
    after = list(before)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(after)))
        match draw(st.sampled_from(["add", "drop", "swap", *["change"] * 3])):
            case "add":
                after.insert(place, draw(_rules))
            case "drop":
                del after[place : place + 1]
            case "swap":
                after[place : place + 2] = after[place : place + 2][::-1]
            case "change" if place < len(after):
                name, other = draw(st.sampled_from(_FIELDS)), draw(_rules)
                changed = after[place].model_copy(update={name: getattr(other, name)})
                after[place] = changed.model_copy(update={"requirement": _published(changed)})
    return before, after


_LOGINS = [
    *(Login(application, known=False) for application in _TERMS),
    *(
        Login(application, who, user_type, groups)
        for application in _TERMS
        for who in (_ANNA, UUID(int=13))
        for user_type in ("staff", None)
        for groups in ((), ("a",), ("b", "c"), ("d",))
    ),
]
_FACTORS = (Factor.TOTP, Factor.SMS, Factor.PASSKEY)
_ENROLLED = [chosen for n in range(3) for chosen in combinations(_FACTORS, n)]
_TIMES = [_JANUARY + timedelta(hours=12 * n) for n in range(-1, 8)]
_own = st.fixed_dictionaries(
    dict.fromkeys(
        (_MAIL, _PAYROLL),
        st.sampled_from([STANDARD_TERMS, Terms(Requirement.OFF, frozenset({Factor.TOTP}))]),
    )
)


_asking = st.builds(
    _rule,
    st.just("all"),
    requirement=st.sampled_from(["optional", "optional", "required", "off"]),
    factors=_factors,
    remember_days=st.sampled_from([None, 0, 7]),
    skips=st.sampled_from([0, 0, 1, 2]),
    enforced=_times,
    recovery=st.sampled_from([None, (), (RecoveryMeans.RECOVERY_KEY,)]),
    may_disable=st.sampled_from([tuple(Disabler), (), (Disabler.ADMINISTRATOR,)]),
)
_ASKED_FIELDS = ["requirement", "factors", "remember_days", "skips", "enforced"]
_ASKED_FIELDS += ["recovery", "may_disable"]


@pytest.mark.requirement("C1")
@settings(max_examples=400, deadline=None)
@given(_asking, _asking, st.sets(st.sampled_from(_ASKED_FIELDS), min_size=1, max_size=2))
def test_a_harmless_change_of_what_everybody_is_asked_for_lets_nobody_in(
    before: Rule, other: Rule, changed: set[str]
) -> None:
    update = {name: getattr(other, name) for name in changed}

    after = before.model_copy(update=update)
    _no_less_is_asked_if_harmless([before], [after], _NO_TERMS, logins=_LOGINS[:1])


@pytest.mark.requirement("C1")
@settings(max_examples=400, deadline=None)
@given(_changed(), _own)
def test_what_is_called_harmless_asks_nobody_for_less_at_any_time(
    lists: tuple[list[Rule], list[Rule]], terms: Mapping[UUID, Terms]
) -> None:
    _no_less_is_asked_if_harmless(*lists, terms)


def _no_less_is_asked_if_harmless(
    before: Sequence[Rule],
    after: Sequence[Rule],
    terms: Mapping[UUID, Terms],
    *,
    logins: Sequence[Login] = _LOGINS,
) -> None:
    harmless = not _found(before, after, terms)
    event(f"harmless: {harmless}, the same: {before == after}")
    for login, at in product(logins, _TIMES) if harmless else ():
        otherwise = _own_ask(terms[login.application_id])
        new, old = (asked(rules, login, at, otherwise=otherwise) for rules in (after, before))
        assert _remembered(new) <= _remembered(old) or not _gets_a_challenge(old), (new, old)
        assert _beside(after, login, at) <= _beside(before, login, at), (login, at)
        if new != old:
            # An impostor who can show one thing at most, and has put off enrolling so often.
            for enrolled, proof, skipped in product(_ENROLLED, (None, *_FACTORS), range(3)):
                now_in, then_in = (_gets_in(one, enrolled, proof, skipped) for one in (new, old))
                assert then_in or not now_in, (login, at, new, old)


def _own_ask(terms: Terms) -> Asked:
    factors = tuple(terms.factors)
    return Asked(RuleRequirement(terms.requirement), factors)


def _gets_in(ask: Asked, enrolled: Sequence[Factor], proof: Factor | None, skipped: int) -> bool:
    decision = decide(ask, enrolled, skipped=skipped)
    match decision.kind:
        case DecisionKind.ALLOW:
            return True
        case DecisionKind.CHALLENGE:
            return proof in decision.factors and proof in enrolled
        case DecisionKind.ENROLL:
            return decision.skips_left > 0
        case _:
            return False


def _gets_a_challenge(ask: Asked) -> bool:
    return not ask.denied and ask.requirement is not RuleRequirement.OFF


def _remembered(ask: Asked) -> int:
    # The operator's days are some days, which nobody here knows.
    days = 10 if ask.remember_days is None else ask.remember_days
    return days if _gets_a_challenge(ask) else 0


def _beside(rules: Sequence[Rule], login: Login, at: datetime) -> frozenset[str]:
    """Return the ways around the second step: of recovery, and of taking it away."""
    rule = deciding_rule(rules, login, at)
    if rule is None:
        return frozenset([*RecoveryMeans, *Disabler])
    means = RecoveryMeans if rule.recovery is None else rule.recovery
    return frozenset([*means, *rule.may_disable])
