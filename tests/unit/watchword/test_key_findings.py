from watchword.doctor import read_keys
from watchword.keys import KeyRow
from watchword.rotation import Progress


def key(*, retired: bool, rows: int | None) -> KeyRow:
    """Return a key of the first version."""
    return KeyRow("verification", "credential", 1, retired, 1, rows, "file, version 1")


def test_nothing_is_wrong_with_keys_that_are_used_or_were_replaced() -> None:
    rotation = Progress("verification", "credential", 2, 1, 5, ("sweeping",), ())

    assert read_keys([key(retired=False, rows=7), key(retired=True, rows=0)], [rotation]) == []


def test_rows_that_a_retired_key_has_sealed_are_found() -> None:
    (finding,) = read_keys([key(retired=True, rows=2)], [])

    assert (finding.well, finding.what) == (False, "verification credential")
    assert "2 rows" in finding.said


def test_a_rotation_that_waits_says_what_for() -> None:
    rotation = Progress("policy", "subject", 2, 1, 5, ("sweeping",), ("rows_broken",))

    (finding,) = read_keys([], [rotation])

    assert "rows_broken" in finding.said
