import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.traceability import Row, as_json, printed, promises, table

ROOT = Path(__file__).parents[3]
_TESTS = """
import pytest

@pytest.mark.requirement("A1", "A2")
@pytest.mark.parametrize("number", [1, 2])
def test_shown(number):
    assert number < LIMIT

@pytest.fixture
def broken():
    yield
    raise RuntimeError

@pytest.mark.fault("R1")
def test_tidied_badly(broken):
    pass

@pytest.mark.security("S1")
def test_left_out():
    pytest.skip("not here")

def test_shows_nothing():
    pass
"""
_SETTINGS = """
[pytest]
markers =
    requirement(id): x
    fault(id): x
    security(id): x
"""


def _run(folder: Path, *arguments: str, limit: int = 3) -> None:
    (folder / "pytest.ini").write_text(_SETTINGS)
    (folder / "test_it.py").write_text(f"LIMIT = {limit}\n{_TESTS}")
    command = (sys.executable, "-m", "pytest", "-q", "-p", "tests.fixtures.traceability")
    subprocess.run(
        (*command, *arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=False,
    )


def _outcomes(folder: Path) -> dict[str, tuple[str, list[str]]]:
    noted = json.loads((folder / ".state/outcomes.json").read_text())
    return {test: (note["outcome"], note["shows"]) for test, note in noted.items()}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_notes_how_marked_tests_ended(tmp_path: Path, workers: tuple[str, ...]) -> None:
    _run(tmp_path, *workers)

    assert _outcomes(tmp_path) == {
        "test_it.py::test_shown[1]": ("passed", ["A1", "A2"]),
        "test_it.py::test_shown[2]": ("passed", ["A1", "A2"]),
        "test_it.py::test_tidied_badly": ("failed", ["R1"]),
        "test_it.py::test_left_out": ("skipped", ["S1"]),
    }


def test_a_later_run_replaces_what_it_ran_and_keeps_the_rest(tmp_path: Path) -> None:
    _run(tmp_path)
    _run(tmp_path, "-k", "shown", limit=2)

    assert {test: outcome for test, (outcome, _) in _outcomes(tmp_path).items()} == {
        "test_it.py::test_shown[1]": "passed",
        "test_it.py::test_shown[2]": "failed",
        "test_it.py::test_tidied_badly": "failed",
        "test_it.py::test_left_out": "skipped",
    }


def test_a_test_that_takes_its_worker_down_has_failed(tmp_path: Path) -> None:
    _run(tmp_path, "-n", "1")
    (tmp_path / "conftest.py").write_text(
        "import os\n"
        "def pytest_runtest_call(item):\n"
        "    item.name == 'test_shown[2]' and os._exit(1)\n"
    )
    _run(tmp_path, "-n", "1", "-k", "shown")

    assert _outcomes(tmp_path)["test_it.py::test_shown[2]"][0] == "failed"


def test_a_test_that_was_interrupted_has_not_passed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_runtest_call(item):\n"
        "    if item.name == 'test_shown[2]':\n"
        "        raise KeyboardInterrupt\n"
    )
    _run(tmp_path)

    assert list(_outcomes(tmp_path)) == ["test_it.py::test_shown[1]"]


def test_workers_write_nothing(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from pathlib import Path\n"
        "def pytest_unconfigure(config):\n"
        "    plugins = config.pluginmanager.get_plugins()\n"
        "    names = [type(plugin).__name__ for plugin in plugins]\n"
        "    kind = 'worker' if hasattr(config, 'workerinput') else 'controller'\n"
        "    Path(kind).write_text(str('_Notes' in names))\n"
    )
    _run(tmp_path, "-n", "1")

    assert (tmp_path / "controller").read_text() == "True"
    assert (tmp_path / "worker").read_text() == "False"


def test_a_collection_lists_the_marked_tests_and_forgets_no_outcome(tmp_path: Path) -> None:
    _run(tmp_path)
    before = _outcomes(tmp_path)
    _run(tmp_path, "--collect-only")

    collected = json.loads((tmp_path / ".state/collected.json").read_text())
    assert collected.keys() == before.keys()
    assert _outcomes(tmp_path) == before


def test_every_promise_has_a_title() -> None:
    ids = list(promises())

    assert ids[:5] == ["A1", "A2", "A3", "A4", "A5"]
    assert {f"R{n}" for n in range(1, 41)} | {f"S{n}" for n in range(1, 21)} <= set(ids)
    assert len(ids) == 94


def test_the_rows_of_users_count_the_public_api_only() -> None:
    collected = {
        "tests/e2e/test_a.py::test_x": ["A1", "F1"],
        "tests/unit/test_b.py::test_y": ["A1", "F1"],
    }

    rows = table({"A1": "…", "F1": "…", "S1": "…"}, collected, {})

    assert [list(row.outcomes) for row in rows] == [
        ["tests/e2e/test_a.py::test_x"],
        ["tests/e2e/test_a.py::test_x", "tests/unit/test_b.py::test_y"],
        [],
    ]


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("passed", "passed", "passed"),
        ("passed", "failed", "failed"),
        ("failed", None, "failed"),
        ("passed", None, None),
        ("passed", "skipped", "skipped"),
    ],
)
def test_the_cases_of_a_test_are_one(first: str, second: str | None, both: str | None) -> None:
    collected = {"t.py::test[1]": ["S1"], "t.py::test[2]": ["S1"]}
    outcomes = {"t.py::test[1]": first} | ({"t.py::test[2]": second} if second else {})

    (row,) = table({"S1": "…"}, collected, outcomes)

    assert row.outcomes == {"t.py::test": both}


def test_an_outcome_of_a_test_that_is_gone_does_not_count() -> None:
    (row,) = table({"S1": "…"}, {}, {"t.py::test": "passed"})

    assert row.outcomes == {}


def test_says_plainly_what_has_no_test() -> None:
    rows = [Row("S1", "Once", {"t.py::test": "failed"}), Row("S2", "Guessing", {})]

    assert printed(rows).splitlines() == [
        "S1   Once",
        "       FAILED       t.py::test",
        "S2   Guessing",
        "       NO TEST",
        "",
        "0 of 2 are shown by passing tests",
    ]
    assert json.loads(as_json(rows)) == {
        "S1": {"tests": ["t.py::test"], "passed": 0, "failed": 1},
        "S2": {"tests": [], "passed": 0, "failed": 0},
    }
