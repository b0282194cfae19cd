"""Downloads Kafka's jars with jgo, which needs no Java and no Maven for it.

`python -m deploy.local.kafka_download` writes the lock file anew, after a change of a version.
"""

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jgo
from jgo.maven import MavenContext

from deploy.local.kafka_jars import KAFKA_VERSION, LOCK_FILE, LockedJar, digest_of
from deploy.local.process import LocalServerError

# Kafka's jars bring the interface of SLF4J 1.7 and nothing that writes the lines.
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
DOWNLOADS_AT_ONCE = 6
DOWNLOAD_ATTEMPTS = 3


def download(jars: Iterable[LockedJar], repository: Path) -> list[Path]:
    """Returns the files of the jars, in the same order."""
    context = MavenContext(repo_cache=repository)
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        return list(pool.map(partial(_download_one, context), jars))


def write_lock_file() -> None:
    """Resolves the dependencies anew and writes hashes, names and versions."""
    artifacts = jgo.resolve(ENDPOINT)
    jars = [LockedJar("", found.groupId, found.artifactId, found.version) for found in artifacts]
    lines = ["# Written by python -m deploy.local.kafka_download: sha256 group:name:version"]
    with tempfile.TemporaryDirectory() as draft:
        for jar, file in zip(jars, download(jars, Path(draft)), strict=True):
            lines.append(f"{digest_of(file)} {jar.group}:{jar.name}:{jar.version}")
    LOCK_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _download_one(context: MavenContext, jar: LockedJar) -> Path:
    artifact = context.project(jar.group, jar.name).at_version(jar.version).artifact()
    problem: Exception | None = None
    for _ in range(DOWNLOAD_ATTEMPTS):
        try:
            return artifact.resolve()
        except (OSError, RuntimeError) as failure:
            problem = failure
            # jgo would take the part that is there for the whole.
            if artifact.cached_path:
                artifact.cached_path.unlink(missing_ok=True)
    raise LocalServerError(f"{jar.file_name} could not be downloaded: {problem}") from problem


if __name__ == "__main__":
    write_lock_file()
