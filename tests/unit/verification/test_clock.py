from datetime import UTC, datetime, timedelta

import pytest

from services.verification.domain.clock import least_offset

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("theirs", "took", "offset"),
    [
        (0.0, 0.1, 0.0),
        (0.1, 0.1, 0.0),
        # A slow answer says nothing against the clock.
        (4.0, 5.0, 0.0),
        (-3.0, 0.1, 3.0),
        (-3.0, 5.0, 3.0),
        (3.0, 0.1, -2.9),
        # Ours was put back while we asked.
        (0.0, -3.0, -3.0),
        (1.0, -3.0, -4.0),
    ],
)
def test_an_offset_is_what_the_asking_cannot_explain(
    theirs: float, took: float, offset: float
) -> None:
    their_time, answered = NOON + timedelta(seconds=theirs), NOON + timedelta(seconds=took)

    found = least_offset(NOON, their_time, answered)

    assert found.total_seconds() == pytest.approx(offset)
