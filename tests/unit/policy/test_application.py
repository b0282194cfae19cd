from dataclasses import replace
from uuid import uuid4

import pytest

from contracts.vocabulary import KeyMode, Scope
from services.policy.domain.application import Application, with_key, without_key
from services.policy.domain.refusals import Refusal
from tests.unit.policy.builders import a_key, an_application

_MANAGE = frozenset({Scope.MANAGE})


@pytest.mark.parametrize(
    ("in_force", "revoked", "other_mode", "fits"),
    [
        (0, 0, 0, True),
        (1, 0, 0, True),
        (2, 0, 0, False),
        (1, 1, 0, True),
        (1, 5, 0, True),
        (1, 0, 2, True),
        (2, 0, 2, False),
    ],
)
def test_has_at_most_two_keys_of_a_mode_in_force(
    in_force: int, revoked: int, other_mode: int, *, fits: bool
) -> None:
    keys = [
        *(a_key() for _ in range(in_force)),
        *(replace(a_key(), revoked=True) for _ in range(revoked)),
        *(a_key(mode=KeyMode.LIVE) for _ in range(other_mode)),
    ]
    application, key = replace(an_application(), keys=tuple(keys)), a_key()

    outcome = with_key(application, key)

    if fits:
        assert isinstance(outcome, Application)
        assert (outcome.version, outcome.keys[-1]) == (2, key)
    else:
        assert outcome is Refusal.TOO_MANY_KEYS


def test_revokes_one_key_and_leaves_the_others() -> None:
    first, second = a_key(), a_key()
    application = replace(an_application(first), keys=(first, second))

    outcome = without_key(application, first.key_id, manage_keys=frozenset())

    assert isinstance(outcome, Application)
    assert outcome.version == 2
    assert outcome.keys == (replace(first, revoked=True), second)


def test_keeps_the_tenants_last_manage_key() -> None:
    key = a_key(scopes=_MANAGE)

    outcome = without_key(an_application(key), key.key_id, manage_keys=frozenset({key.key_id}))

    assert outcome is Refusal.LAST_MANAGE_KEY


def test_revokes_a_manage_key_while_another_application_has_one() -> None:
    key = a_key(scopes=_MANAGE)
    manage_keys = frozenset({key.key_id, uuid4()})

    assert isinstance(
        without_key(an_application(key), key.key_id, manage_keys=manage_keys), Application
    )


def test_revokes_another_key_beside_the_last_manage_key() -> None:
    key = a_key()

    assert isinstance(
        without_key(an_application(key), key.key_id, manage_keys=frozenset({uuid4()})), Application
    )


def test_revoking_again_changes_nothing() -> None:
    application = an_application(replace(a_key(), revoked=True))
    key_id = application.keys[0].key_id

    assert without_key(application, key_id, manage_keys=frozenset({uuid4()})) is application


def test_knows_only_its_own_keys() -> None:
    assert without_key(an_application(), uuid4(), manage_keys=frozenset()) is Refusal.UNKNOWN


def test_never_shows_a_digest() -> None:
    key = a_key()

    assert key.digest not in repr(an_application(key))
