from uuid import uuid4

import pytest

from contracts.vocabulary import Factor, Requirement
from services.policy.domain.policy import (
    STANDARD_TERMS,
    Policy,
    Terms,
    first_policy,
    next_policy,
    standard_policy,
)
from services.policy.domain.refusals import Refusal

_OFF, _REQUIRED = Requirement.OFF, Requirement.REQUIRED
_TOTP = frozenset({Factor.TOTP})
_LATER = frozenset({Factor.PUSH, Factor.RECOVERY_KEY})
_NOT_AT_LOGIN = frozenset({Factor.SMS, Factor.VOICE, Factor.PASSKEY})
_TABLE = [
    (_REQUIRED, _TOTP, None),
    (_REQUIRED, frozenset(), Refusal.NO_FACTOR),
    (_OFF, frozenset(), None),
    (_OFF, _TOTP, None),
    *[
        (requirement, frozenset({factor}), Refusal.FACTOR_NOT_AVAILABLE)
        for requirement in Requirement
        for factor in Factor
        if factor in _LATER
    ],
    *[
        (requirement, frozenset({factor}), None)
        for requirement in Requirement
        for factor in (Factor.HOTP, Factor.PIN, Factor.RECOVERY_CODE)
    ],
    *[(_REQUIRED, frozenset({factor}), Refusal.NO_FACTOR_AT_LOGIN) for factor in _NOT_AT_LOGIN],
    *[(_OFF, frozenset({factor}), None) for factor in _NOT_AT_LOGIN],
    *[(_REQUIRED, _TOTP | {factor}, None) for factor in _NOT_AT_LOGIN],
    (_REQUIRED, _NOT_AT_LOGIN, Refusal.NO_FACTOR_AT_LOGIN),
    (_REQUIRED, _TOTP | {Factor.PUSH}, Refusal.FACTOR_NOT_AVAILABLE),
]


@pytest.mark.parametrize(("requirement", "factors", "refusal"), _TABLE)
def test_asks_only_what_subjects_can_do(
    requirement: Requirement, factors: frozenset[Factor], refusal: Refusal | None
) -> None:
    about, terms = uuid4(), Terms(requirement, factors=factors)

    assert first_policy(about, terms) == (refusal or Policy(about, version=1, terms=terms))


def test_every_change_is_one_version_more() -> None:
    policy = standard_policy(uuid4())

    off = next_policy(policy, Terms(_OFF, factors=_TOTP))

    assert off == Policy(policy.application_id, version=2, terms=Terms(_OFF, factors=_TOTP))


def test_a_change_can_be_refused_as_a_first_version_can() -> None:
    terms = Terms(_REQUIRED, factors=frozenset())

    assert next_policy(standard_policy(uuid4()), terms) is Refusal.NO_FACTOR


def test_the_same_terms_are_the_same_version() -> None:
    policy = standard_policy(uuid4())

    assert next_policy(policy, Terms(_REQUIRED, factors=_TOTP)) is policy


def test_the_standard_could_be_asked_for() -> None:
    about = uuid4()

    assert first_policy(about, STANDARD_TERMS) == standard_policy(about)
