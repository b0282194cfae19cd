"""How far a clock is off, as far as asking another one can tell."""

from datetime import datetime, timedelta

# How far a node's clock may be from PostgreSQL's, unless the settings say otherwise.
TOLERANCE = timedelta(seconds=2)


def least_offset(asked: datetime, theirs: datetime, answered: datetime) -> timedelta:
    """Return by how much our clock is ahead at the least (negative: behind).

    They read their clock between our asking and their answer, so nothing in between says anything:
    a slow answer makes the clock look better, never worse.
    """
    if theirs < asked:
        return asked - theirs
    if theirs > answered:
        return answered - theirs
    return timedelta()
