"""Says of each promise which tests show it and how they last ended: docs/traceability.json."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
STATE = ROOT / ".state"
RESULT = ROOT / "docs" / "traceability.json"
_PUBLIC_API = "tests/e2e/"
_LAST = {"passed": "passed", "failed": "FAILED", "skipped": "skipped", None: "not run yet"}


@dataclass(frozen=True)
class Row:
    """One promise, and how each test that shows it last ended (None: it was never run)."""

    promise: str
    title: str
    outcomes: Mapping[str, str | None]

    def count(self, outcome: str) -> int:
        """Return how many tests ended so."""
        return list(self.outcomes.values()).count(outcome)


def main(arguments: list[str]) -> int:
    """Print and write the table; return 1 where a test names a promise that nobody made."""
    if arguments:
        sys.stderr.write("usage: python -m tools.traceability\n")
        return 2
    _collect()
    collected: dict[str, list[str]] = json.loads((STATE / "collected.json").read_text())
    titles = promises()
    unknown = sorted({name for shown in collected.values() for name in shown} - titles.keys())
    if unknown:
        sys.stderr.write(f"tests name what was never promised: {', '.join(unknown)}\n")
        return 1
    rows = table(titles, collected, _outcomes())
    sys.stdout.write(printed(rows))
    RESULT.write_text(as_json(rows))
    return 0


def promises() -> dict[str, str]:
    """Return the title of each promise by its id."""
    parts = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    return {promise: title for part in parts.values() for promise, title in part.items()}


def table(
    titles: Mapping[str, str],
    collected: Mapping[str, Sequence[str]],
    outcomes: Mapping[str, str],
) -> list[Row]:
    """Return a row for each promise; the cases of a parametrized test are one test."""
    return [
        Row(promise, title, _ended(_shown_by(promise, collected), outcomes))
        for promise, title in titles.items()
    ]


def printed(rows: Sequence[Row]) -> str:
    """Return the table for people."""
    lines = []
    for row in rows:
        lines.append(f"{row.promise:4} {row.title}")
        if not row.outcomes:
            lines.append("       NO TEST")
        lines += [f"       {_LAST[outcome]:12} {test}" for test, outcome in row.outcomes.items()]
    shown = sum(1 for row in rows if row.outcomes and row.count("passed") == len(row.outcomes))
    return "\n".join([*lines, "", f"{shown} of {len(rows)} are shown by passing tests", ""])


def as_json(rows: Sequence[Row]) -> str:
    """Return the table for programs."""
    content = {
        row.promise: {
            "tests": list(row.outcomes),
            "passed": row.count("passed"),
            "failed": row.count("failed"),
        }
        for row in rows
    }
    return json.dumps(content, indent=2) + "\n"


def _shown_by(promise: str, collected: Mapping[str, Sequence[str]]) -> list[str]:
    # What users rely on is shown through the public API of the running system, or not at all.
    where = _PUBLIC_API if promise[0] in "ABCDE" else ""
    return sorted(
        test for test, shown in collected.items() if promise in shown and test.startswith(where)
    )


def _ended(cases: Sequence[str], outcomes: Mapping[str, str]) -> dict[str, str | None]:
    by_test: dict[str, set[str | None]] = {}
    for case in cases:
        by_test.setdefault(case.partition("[")[0], set()).add(outcomes.get(case))
    return {test: _worst(ended) for test, ended in by_test.items()}


def _worst(ended: set[str | None]) -> str | None:
    return next(outcome for outcome in ("failed", None, "skipped", "passed") if outcome in ended)


def _outcomes() -> dict[str, str]:
    file = STATE / "outcomes.json"
    noted = json.loads(file.read_text()) if file.exists() else {}
    return {test: note["outcome"] for test, note in noted.items()}


def _collect() -> None:
    command = (sys.executable, "-m", "pytest", "--collect-only", "--quiet", "--quiet")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise SystemExit(f"the tests cannot be collected:\n{done.stdout[-3000:]}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
