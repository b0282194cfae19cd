"""What mutmut found: changes to the domain that no unit test notices, less the justified ones.

python -m tools.mutants runs mutmut and judges what it says. Ends with 1 where a change is neither
noticed nor justified, and where a justification is for nothing: after a change of its function a
number may be that of another mutant.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_JUSTIFIED = Path(__file__).with_name("mutants.txt")
_MUTMUT = Path(sys.executable).with_name("mutmut")
_NOTICED = ("killed", "timeout", "caught by type check")


def justified(text: str) -> set[str]:
    """Return the names in a list of `name  reason` lines; no reason, no justification."""
    lines = (line.split(maxsplit=1) for line in text.splitlines() if not line.startswith("#"))
    return {words[0] for words in lines if len(words) == 2}


def complaints(found: Mapping[str, str], allowed: set[str]) -> list[str]:
    """Return a line for all that must be looked at; `found` says how each mutant ended."""
    left = [
        f"{how:<12} {name}"
        for name, how in sorted(found.items())
        if how not in _NOTICED and name not in allowed
    ]
    for_nothing = [
        f"{'for nothing':<12} {name} is justified and {found.get(name, 'does not exist')}"
        for name in sorted(allowed)
        if found.get(name, "killed") == "killed"
    ]
    return left + for_nothing if found else ["mutmut has changed nothing"]


def main() -> int:
    """Print how many there are of each kind, and all that must be looked at."""
    # From the start: mutmut lets a verdict stand where a test has changed and the function has not.
    shutil.rmtree(_ROOT / "mutants", ignore_errors=True)
    _mutmut("run", "--max-children", "2")
    lines = (line.strip() for line in _mutmut("results", "--all", "true").splitlines())
    found = dict(line.rsplit(": ", 1) for line in lines if ": " in line)
    allowed = justified(_JUSTIFIED.read_text(encoding="utf-8"))
    said = complaints(found, allowed)
    for line in said:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{dict(Counter(found.values()))}, {len(allowed)} justified\n")
    return 1 if said else 0


def _mutmut(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own tool
        [str(_MUTMUT), *arguments],
        cwd=_ROOT,
        # Names of methods are not in ASCII.
        env={**os.environ, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"mutmut {arguments[0]} failed:\n{done.stdout[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
