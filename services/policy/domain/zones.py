"""Time zones: the clocks of a place, the same for whoever reads of them."""

from functools import cache
from zoneinfo import available_timezones

# Of the database, but no places: the clock of whatever machine reads it, and none at all.
_NO_PLACES = frozenset({"localtime", "Factory"})


def known_zone(name: str) -> str:
    """Return the name of a time zone; raises ValueError where there is no such place."""
    if name not in _zones():
        raise ValueError("not a time zone of the IANA database, such as Europe/Amsterdam")
    return name


@cache
def _zones() -> frozenset[str]:
    # Looks at every file of the database: milliseconds, and the same each time.
    return frozenset(available_timezones()) - _NO_PLACES
