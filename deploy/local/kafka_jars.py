"""Brings Kafka's jars into a folder that all checkouts of a user share, checked by their hashes."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.locks import exclusive
from deploy.local.process import LocalServerError, Progress, to_the_end

KAFKA_VERSION = "4.1.2"
LOCK_FILE = Path(__file__).with_name("kafka.lock")


@dataclass(frozen=True)
class LockedJar:
    """One line of the lock file."""

    digest: str
    group: str
    name: str
    version: str

    @property
    def file_name(self) -> str:
        """The name of the file in the shared folder."""
        return f"{self.name}-{self.version}.jar"


@dataclass(frozen=True)
class Jars:
    """The installed jars and the folder that is theirs alone."""

    folder: Path
    class_path: str


def cache_folder() -> Path:
    """Returns the folder for what all checkouts of this user share."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "watchword"


def locked_jars() -> list[LockedJar]:
    """Reads the lock file, whose order is that of the class path."""
    lines = LOCK_FILE.read_text(encoding="utf-8").splitlines()
    return [
        LockedJar(digest, *coordinates.split(":"))
        for digest, coordinates in (line.split() for line in lines if not line.startswith("#"))
    ]


async def install_jars(on_progress: Progress) -> Jars:
    """Returns the jars, downloaded once a user; safe when two processes do it at once."""
    digest = hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}-{digest}"
    if not folder.exists():
        async with exclusive(folder.with_name(f"{folder.name}.lock")):
            if not folder.exists():
                on_progress(f"Kafka {KAFKA_VERSION}: downloading 43 MB, once for this user")
                await to_the_end(_install, folder)
    return Jars(folder, ":".join(str(folder / jar.file_name) for jar in locked_jars()))


def digest_of(file: Path) -> str:
    """Returns the hash of a file as the lock file has it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _install(folder: Path) -> None:
    # jgo takes 0.4 s to import, which every start would pay for what is needed once a user.
    from deploy.local.kafka_download import download

    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix="download-"))
    jars = locked_jars()
    try:
        files = download(jars, draft / "repository")
        (draft / "jars").mkdir()
        for jar, file in zip(jars, files, strict=True):
            if digest_of(file) != jar.digest:
                raise LocalServerError(f"{jar.file_name} is not the file of {LOCK_FILE.name}")
            file.rename(draft / "jars" / jar.file_name)
        (draft / "jars").rename(folder)
    finally:
        shutil.rmtree(draft)
