from uuid import UUID

import pytest

from services.policy.domain.owners import Owners, missing_owner, refusal_without
from services.policy.domain.refusals import Refusal

_FIRST, _ANNAS, _ANNAS_OTHER, _BERTS = (UUID(int=n) for n in range(1, 5))
_ANNA, _BERT = UUID(int=11), UUID(int=12)
_HOLDERS = {_FIRST: None, _ANNAS: _ANNA, _ANNAS_OTHER: _ANNA, _BERTS: _BERT}


@pytest.mark.requirement("C1")
@pytest.mark.parametrize(
    ("keys", "gone", "four_eyes", "refusal"),
    [
        ([_FIRST], [_FIRST], False, Refusal.LAST_OWNER_KEY),
        ([_ANNAS], [_ANNAS], False, Refusal.LAST_OWNER_KEY),
        ([_ANNAS, _ANNAS_OTHER], [_ANNAS, _ANNAS_OTHER], False, Refusal.LAST_OWNER_KEY),
        ([_ANNAS, _BERTS], [_ANNAS], False, None),
        ([_ANNAS, _BERTS], [_ANNAS], True, Refusal.TWO_OWNERS_NEEDED),
        ([_ANNAS, _BERTS, _FIRST], [_ANNAS], True, Refusal.TWO_OWNERS_NEEDED),
        ([_ANNAS, _BERTS, _FIRST], [_FIRST], True, None),
        ([_ANNAS, _ANNAS_OTHER, _BERTS], [_ANNAS], True, None),
        ([_ANNAS, _ANNAS_OTHER, _BERTS], [_ANNAS, _ANNAS_OTHER], True, Refusal.TWO_OWNERS_NEEDED),
        # A key that is none of them changes nothing, however few they are.
        ([_ANNAS], [UUID(int=99)], True, None),
    ],
)
def test_enough_owners_stay(
    keys: list[UUID], gone: list[UUID], four_eyes: bool, refusal: Refusal | None
) -> None:
    owners = Owners({key: _HOLDERS[key] for key in keys}, four_eyes)

    assert refusal_without(owners, frozenset(gone)) is refusal


@pytest.mark.parametrize(
    ("keys", "enough"),
    [
        ([], False),
        ([_FIRST], False),
        ([_FIRST, _ANNAS], False),
        ([_ANNAS, _ANNAS_OTHER], False),
        ([_ANNAS, _BERTS], True),
    ],
)
def test_four_eyes_are_two_people(keys: list[UUID], *, enough: bool) -> None:
    owners = Owners({key: _HOLDERS[key] for key in keys}, four_eyes=False)

    assert (missing_owner(owners) is None) == enough
