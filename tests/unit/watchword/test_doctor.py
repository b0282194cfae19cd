import pytest

from watchword.doctor import read_metrics


@pytest.mark.parametrize(("lag", "seen"), [(0, False), (1_000, False), (1_001, True)])
def test_a_large_lag_is_found_with_its_service_and_number(lag: int, seen: bool) -> None:
    text = f"# HELP watchword_consumer_lag consumer lag\nwatchword_consumer_lag {float(lag)}\n"

    found = read_metrics("verification", text)

    assert [finding.what for finding in found] == ["verification lag"] * seen
    assert all(f"{lag} records behind" in finding.said for finding in found)
    assert not any(finding.well for finding in found)


def test_a_service_without_consumers_is_behind_with_nothing() -> None:
    assert read_metrics("verification", "watchword_relay_active 1.0\n") == []
