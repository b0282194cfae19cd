from dataclasses import replace
from uuid import uuid4

import pytest

from contracts.roles import Role
from contracts.vocabulary import KeyMode, Scope
from services.policy.domain.application import (
    Application,
    keys_of,
    with_key,
    without_holder,
    without_key,
)
from services.policy.domain.owners import Owners
from services.policy.domain.refusals import Refusal
from tests.unit.policy.builders import a_key, a_persons_key, an_application

_MANAGE = frozenset({Scope.MANAGE})
_NOBODY = Owners({}, four_eyes=False)


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


@pytest.mark.parametrize(("same", "fits"), [(True, False), (False, True)])
def test_each_person_may_have_two_keys_of_a_mode(*, same: bool, fits: bool) -> None:
    anna = uuid4()
    keys = tuple(a_persons_key(Role.AUDITOR, anna) for _ in range(2))
    application = replace(an_application(), keys=keys)

    outcome = with_key(application, a_persons_key(Role.AUDITOR, anna if same else uuid4()))

    assert isinstance(outcome, Application) == fits


def test_revokes_one_key_and_leaves_the_others() -> None:
    first, second = a_key(), a_key()
    application = replace(an_application(first), keys=(first, second))

    outcome = without_key(application, first.key_id, owners=_NOBODY, by_owner=False)

    assert isinstance(outcome, Application)
    assert outcome.version == 2
    assert outcome.keys == (replace(first, revoked=True), second)


@pytest.mark.requirement("C1")
def test_keeps_the_tenants_last_owners_key() -> None:
    key = a_persons_key(Role.OWNER, None)
    owners = Owners({key.key_id: None}, four_eyes=False)

    outcome = without_key(an_application(key), key.key_id, owners=owners, by_owner=True)

    assert outcome is Refusal.LAST_OWNER_KEY


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("by_owner", [True, False])
def test_an_owners_key_is_revoked_by_an_owner(*, by_owner: bool) -> None:
    key = a_persons_key(Role.OWNER, uuid4())
    owners = Owners({key.key_id: key.holder, uuid4(): None}, four_eyes=False)

    outcome = without_key(an_application(key), key.key_id, owners=owners, by_owner=by_owner)

    assert isinstance(outcome, Application) == by_owner
    assert by_owner or outcome is Refusal.OWNER_NEEDED


def test_revokes_another_key_beside_the_last_owners_key() -> None:
    key = a_key(scopes=_MANAGE)
    owners = Owners({uuid4(): None}, four_eyes=True)

    assert isinstance(
        without_key(an_application(key), key.key_id, owners=owners, by_owner=False), Application
    )


def test_revoking_again_changes_nothing() -> None:
    application = an_application(replace(a_key(), revoked=True))
    key_id = application.keys[0].key_id

    assert without_key(application, key_id, owners=_NOBODY, by_owner=False) is application


def test_knows_only_its_own_keys() -> None:
    assert without_key(an_application(), uuid4(), owners=_NOBODY, by_owner=True) is Refusal.UNKNOWN


def test_who_goes_takes_their_own_keys_along_and_no_others() -> None:
    anna, bert = uuid4(), uuid4()
    annas, berts = a_persons_key(Role.AUDITOR, anna), a_persons_key(Role.AUDITOR, bert)
    application = replace(an_application(), keys=(annas, berts, a_key()))

    assert keys_of(application, anna) == {annas.key_id}
    after = without_holder(application, anna)

    assert [key.revoked for key in after.keys] == [True, False, False]
    assert after.version == application.version + 1


def test_never_shows_a_digest() -> None:
    key = a_key()

    assert key.digest not in repr(an_application(key))
