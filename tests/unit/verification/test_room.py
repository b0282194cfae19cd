from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.api.room import Room
from services.verification.domain.room import Turned, turned_away


@pytest.mark.parametrize(
    ("inside", "of_tenant", "why"),
    [
        (0, 0, None),
        (19, 19, None),
        (20, 20, Turned.TOO_MANY_OF_ONE),
        (20, 19, None),
        (29, 1, None),
        (29, 2, Turned.TOO_MANY_OF_ONE),
        (30, 0, Turned.FULL),
        (30, 20, Turned.FULL),
        (31, 0, Turned.FULL),
    ],
)
def test_a_tenant_holds_twice_what_is_free_at_most(
    inside: int, of_tenant: int, why: Turned | None
) -> None:
    assert turned_away(inside=inside, of_tenant=of_tenant, places=30) == why


@pytest.mark.fault("R36")
@given(noisy=st.integers(1, 2000), places=st.integers(8, 500))
def test_whoever_is_noisy_leaves_places_for_the_others(noisy: int, places: int) -> None:
    room, loud, quiet = Room(places), uuid4(), uuid4()
    for _ in range(noisy):
        room.enter(loud)

    assert room.inside <= -(-2 * places // 3) + 1
    assert room.enter(quiet) is None


def test_a_place_that_is_given_back_is_free() -> None:
    room, tenant = Room(9), uuid4()
    while room.enter(tenant) is None:
        pass
    inside = room.inside

    room.leave(tenant)

    assert room.enter(tenant) is None
    assert room.enter(tenant) is Turned.TOO_MANY_OF_ONE
    assert room.inside == inside
    for _ in range(inside):
        room.leave(tenant)
    assert (room.inside, room._of_tenant) == (0, {})
    assert room.readings()["verify_turned_away_tenant"] == 2
