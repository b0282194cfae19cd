"""Pins what pyproject.toml asks for, with hashes: requirements/<extra>.txt.

`--check` says whether the pins still answer pyproject.toml; new releases alone change nothing.
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
UV = Path(sysconfig.get_path("scripts")) / "uv"
# dev holds all the others, so it is pinned first and the others follow it.
EXTRAS = ("dev", "local", "policy", "enrollment", "verification", "notification", "recovery")


def main(arguments: list[str]) -> int:
    """Pin everything, or with --check return 1 where a pin is out of date."""
    if arguments == ["--check"]:
        return _check()
    if arguments:
        sys.stderr.write("usage: python -m tools.requirements [--check]\n")
        return 2
    _pin(FOLDER)
    return 0


def _check() -> int:
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        for file in FOLDER.glob("*.txt"):
            shutil.copy(file, fresh)
        _pin(fresh)
        stale = [
            file.name
            for file in sorted(fresh.glob("*.txt"))
            if not (FOLDER / file.name).exists()
            or file.read_bytes() != (FOLDER / file.name).read_bytes()
        ]
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make requirements`\n")
    return 1 if stale else 0


def _pin(folder: Path) -> None:
    for extra in EXTRAS:
        constraint = () if extra == "dev" else ("--constraint", str(folder / "dev.txt"))
        _compile(folder / f"{extra}.txt", "pyproject.toml", "--extra", extra, *constraint)
    (folder / "uv.in").write_text("uv\n")
    _compile(folder / "uv.txt", str(folder / "uv.in"), "--constraint", str(folder / "dev.txt"))
    (folder / "uv.in").unlink()


def _compile(output: Path, *arguments: str) -> None:
    command = (
        *(str(UV), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate"),
        *("--output-file", str(output), *arguments),
    )
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - our own arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
