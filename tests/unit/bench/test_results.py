import json
from pathlib import Path

from bench.verify.results import Results


def test_a_measurement_replaces_what_is_its_own_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "results" / "verify.json"
    first = Results(file)
    first.add({"a": 1, "b": 2}, spread={"a": [1, 1]}, conditions={"cores": 2})

    Results(file).add({"b": 3}, spread={"b": [3, 4]}, conditions={"b": "others"})

    assert json.loads(file.read_text()) == {
        "a": 1,
        "b": 3,
        "spread": {"a": [1, 1], "b": [3, 4]},
        "conditions": {"cores": 2, "b": "others"},
    }


def test_what_could_not_be_measured_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    file = tmp_path / "verify.json"
    Results(file).add({"a": 1, "b": 2}, spread={"a": 1, "b": 1}, conditions={"a": {}})

    Results(file).forget("a")

    assert json.loads(file.read_text()) == {"b": 2, "spread": {"b": 1}, "conditions": {}}


def test_a_run_of_everything_begins_with_nothing(tmp_path: Path) -> None:
    file = tmp_path / "verify.json"
    Results(file).add({"a": 1}, spread={}, conditions={})

    Results(file, anew=True).add({"b": 2}, spread={}, conditions={})

    assert json.loads(file.read_text()) == {"b": 2, "spread": {}, "conditions": {}}
