"""How many requests may be inside at once, and how many of one tenant."""

from enum import Enum

# A tenant may hold so many times what is still free. One alone gets two thirds of the places, two
# get two fifths each; whoever holds none always finds some (dynamic thresholds, as in switches
# that share a buffer: Choudhury and Hahne, 1998).
_SHARE = 2


class Turned(Enum):
    """Why somebody does not get in."""

    FULL = "full"
    TOO_MANY_OF_ONE = "too_many_of_one"


def turned_away(*, inside: int, of_tenant: int, places: int) -> Turned | None:
    """Return why one more of this tenant does not get in, or None where it does."""
    free = places - inside
    if free <= 0:
        return Turned.FULL
    return Turned.TOO_MANY_OF_ONE if of_tenant >= _SHARE * free else None
