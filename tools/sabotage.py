"""Break the product on purpose, one promise at a time, and see its test fail.

python -m tools.sabotage [--only NAME ...]: each of tools/patches*.py is made in a copy of the tree,
where its test must pass before and fail after. Prints one line a patch; exit code 1 where a broken
product passes its test.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.patches import PATCHES, Patch
from tools.patches_enrollment import ENROLLMENT_PATCHES

_ROOT = Path(__file__).parent.parent
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".watchword", "mutants", ".*_cache", "__pycache__"
)
_LONGEST_SECONDS = 300
_ALL = (*PATCHES, *ENROLLMENT_PATCHES)


class NotApplicable(Exception):  # noqa: N818
    """The line that a patch changes is not there, or not once: the list is out of date."""


def apply(patch: Patch, tree: Path) -> None:
    """Change the one place that the patch names."""
    path = tree / patch.file
    text = path.read_text()
    if text.count(patch.old) != 1:
        raise NotApplicable(f"{patch.name}: {patch.file} has it {text.count(patch.old)} times")
    path.write_text(text.replace(patch.old, patch.new))


def first_failure(tests: Sequence[str], tree: Path) -> str | None:
    """Return which test fails first and how, or None; a run without any test ends everything."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", *tests]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "160",  # so that the reason stands behind the name
    }
    done = subprocess.run(  # noqa: S603 - our own tests
        command,
        cwd=tree,
        env=environment,
        capture_output=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    said = done.stdout.decode()
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{said[-2000:]}")
    failed = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return (failed or [said[-2000:]])[0] if done.returncode else None


def noticed(patch: Patch, folder: Path) -> str | None:
    """Return how the patch's test fails on a product that is broken by it, or None."""
    tree = folder / patch.name
    shutil.copytree(_ROOT, tree, ignore=_LEFT_OUT)
    try:
        apply(patch, tree)
        return first_failure([patch.test], tree)
    finally:
        shutil.rmtree(tree)


def _tried(patch: Patch, folder: Path) -> bool:
    began = time.monotonic()
    failure = noticed(patch, folder)
    verdict = "NOT NOTICED" if failure is None else "noticed"
    seconds = time.monotonic() - began
    sys.stdout.write(f"{verdict:<12} {patch.name:<32} {seconds:4.0f} s  {patch.breaks}\n")
    if failure is not None:
        # Read these: a test that fails for another reason has not noticed anything.
        sys.stdout.write(f"{'':<12} {failure}\n")
    sys.stdout.flush()
    return failure is not None


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all patches, or the named ones."""
    parser = argparse.ArgumentParser(prog="python -m tools.sabotage", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME")
    wanted = parser.parse_args(arguments).only
    patches = [patch for patch in _ALL if wanted is None or patch.name in wanted]
    if not patches:
        parser.error("no patch has that name")
    sys.stdout.write(f"{len(patches)} patches; first their tests, on the product as it is\n")
    if failure := first_failure(sorted({patch.test for patch in patches}), _ROOT):
        sys.stdout.write(f"a test fails without any patch: {failure}\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        unnoticed = sum(not _tried(patch, Path(folder)) for patch in patches)
    sys.stdout.write(f"{len(patches) - unnoticed} of {len(patches)} noticed\n")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
