"""What mutmut found: changes to the domain that no unit test notices, less the justified ones.

python -m tools.mutants, after `mutmut run`; `make mutants` does both. Ends with 1 if one is left.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

_JUSTIFIED = Path(__file__).with_name("mutants.txt")
_MUTMUT = Path(sys.executable).with_name("mutmut")


def justified(text: str) -> set[str]:
    """Return the names in a list of `name  reason` lines; no reason, no justification."""
    lines = (line.split(maxsplit=1) for line in text.splitlines() if not line.startswith("#"))
    return {words[0] for words in lines if len(words) == 2}


def main() -> int:
    """Print how many there are of each kind, and those that nobody has justified."""
    done = subprocess.run(  # noqa: S603 - our own tool
        [str(_MUTMUT), "results", "--all", "true"], capture_output=True, text=True, check=True
    )
    found = dict(line.strip().rsplit(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    allowed = justified(_JUSTIFIED.read_text())
    left = {
        name: how
        for name, how in found.items()
        if how not in ("killed", "timeout", "caught by type check") and name not in allowed
    }
    for name, how in sorted(left.items()):
        sys.stdout.write(f"{how:<12} {name}\n")
    sys.stdout.write(f"{dict(Counter(found.values()))}, {len(allowed)} justified\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
