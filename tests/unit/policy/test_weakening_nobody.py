"""What is called harmless is, whoever logs in when: asked of the rules as everybody reads them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
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


def _found(
    before: Sequence[Rule],
    after: Sequence[Rule],
    terms: Mapping[UUID, Terms] = _NO_TERMS,
) -> tuple[str, ...]:
    return weakenings(InForce(before, terms), InForce(after, terms))


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
    email_code=st.booleans(),
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
        Login(application, who, known=False)
        for application in _TERMS
        for who in (_ANNA, UUID(int=13))
    ),
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
    email_code=st.booleans(),
)
_ASKED_FIELDS = ["requirement", "factors", "remember_days", "skips", "enforced"]
_ASKED_FIELDS += ["recovery", "may_disable", "email_code"]


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
        assert _opens_at_once(old) or not _opens_at_once(new), (login, at, new, old)
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


def _opens_at_once(ask: Asked) -> bool:
    """Tell whether an enrollment opens without a code that was sent to the login address."""
    return not ask.denied and not ask.email_code


def _beside(rules: Sequence[Rule], login: Login, at: datetime) -> frozenset[str]:
    """Return the ways around the second step: of recovery, and of taking it away."""
    rule = deciding_rule(rules, login, at)
    if rule is None:
        return frozenset([*RecoveryMeans, *Disabler])
    means = RecoveryMeans if rule.recovery is None else rule.recovery
    return frozenset([*means, *rule.may_disable])


@pytest.mark.requirement("C1")
def test_somebody_whose_attributes_have_not_arrived_is_asked_for_no_less() -> None:
    berts = _rule("berts", match={"subjects": [_BERT]}, skips=3)
    staff = _rule("staff", match={"user_types": ["staff"]})
    students = _rule("students", match={"user_types": ["student"]}, skips=3)

    found = _found([berts, staff, students], [berts, students, staff])

    anna = Login(_MAIL, _ANNA, known=False)
    decides = deciding_rule([berts, students, staff], anna, _JANUARY)
    assert decides is not None
    assert decides.name == "students"
    assert found == ("students instead of staff: enrolling may be put off 3 times, and 0 before",)
