"""What is measured: real servers, and one process of verification for each of its roles."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import asyncpg

from bench.verify.baselines import APPS
from bench.verify.costs import on_cores, own_core
from bench.verify.seed import Place
from deploy.local.database import DATABASE, prepare_database, role_dsn
from deploy.local.ports import choose_ports, free_port
from deploy.local.process import (
    ChildProcess,
    Command,
    LocalServerError,
    Progress,
    clean_environment,
)
from deploy.local.secrets import local_secrets
from deploy.local.servers import Servers, start_servers
from deploy.local.services import ROOT, Surroundings, is_ready, service_process
from deploy.local.topics import prepare_topics
from deploy.roles import SERVICES

_SERVICE = "verification"
_PREFIX = "WATCHWORD_VERIFICATION_"
# A span for every request, in a file, is for a machine without a collector; docker-compose.yml has
# none either.
_NOT_IN_PRODUCTION = (f"{_PREFIX}TRACES_FILE", f"{_PREFIX}TRACES_SAMPLED")


@dataclass(frozen=True)
class Ground:
    """The running servers; `api_port` is where verification listens."""

    around: Surroundings
    overrides: Mapping[str, str]

    @property
    def servers(self) -> Servers:
        """Return PostgreSQL, Valkey and Kafka."""
        return self.around.servers

    @property
    def superuser_dsn(self) -> str:
        """Return the DSN that passes every wall."""
        return self.servers.postgres.dsn(DATABASE)

    @property
    def place(self) -> Place:
        """Return where people are written to."""
        app_dsn = role_dsn(self.servers.postgres, self.around.made, f"{_SERVICE}_app")
        return Place(self.superuser_dsn, app_dsn, self.around.made.key_file(_SERVICE))

    @property
    def api_port(self) -> int:
        """Return the port of what is measured."""
        return self.around.ports[_SERVICE]

    def process(self, role: str) -> ChildProcess:
        """Return a process of verification with one role, as a deployment starts it."""
        ports = {**self.around.ports, f"{_SERVICE}_internal": self._internal_port(role)}
        command = service_process(replace(self.around, ports=ports), _SERVICE, role=role).command
        environment = {
            name: value
            for name, value in command.environment.items()
            if name not in _NOT_IN_PRODUCTION
        }
        return ChildProcess(replace(command, environment={**environment, **self.overrides}))

    def internal_url(self, role: str) -> str:
        """Return where a process with this role says how it is."""
        return f"http://127.0.0.1:{self._internal_port(role)}"

    def _internal_port(self, role: str) -> int:
        return self.around.ports["relay_internal" if role == "relay" else f"{_SERVICE}_internal"]


@dataclass(frozen=True)
class Running:
    """The processes that are loaded and measured; `baselines` are ports and processes by name."""

    ground: Ground
    api: ChildProcess
    relay: ChildProcess
    baselines: Mapping[str, tuple[int, ChildProcess]]


def named_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings of verification as environment variables."""
    return {f"{_PREFIX}{name.upper()}": value for name, value in settings.items()}


@asynccontextmanager
async def open_ground(
    data: Path,
    overrides: Mapping[str, str],
    on_progress: Progress,
    *,
    postgres_settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Ground]:
    """Start the servers on fresh data, migrated; stop them and delete everything at the end."""
    servers = await start_servers(data, on_progress, postgres_settings=postgres_settings)
    try:
        around = Surroundings(data, servers, local_secrets(data), _ports(data))
        ground = Ground(around, named_settings(overrides))
        await asyncio.gather(
            prepare_database(servers.postgres, ground.around.made),
            prepare_topics(servers.kafka.bootstrap_servers),
        )
        await _refuse_forgetful(ground)
        await _migrate(ground)
        yield ground
    finally:
        await servers.stop()
        await asyncio.to_thread(servers.delete_data)


@asynccontextmanager
async def running(ground: Ground) -> AsyncIterator[Running]:
    """Run verification and the baselines on the core of what is measured, the relay elsewhere."""
    async with AsyncExitStack() as stack:

        def started(process: ChildProcess) -> ChildProcess:
            process.start()
            stack.push_async_callback(process.stop)
            return process

        relay = started(ground.process("relay"))
        with on_cores(frozenset({own_core()})):
            api = started(ground.process("api"))
            ports = {name: free_port() for name in APPS}
            baselines = {
                name: (port, started(_baseline(ground.around.data, name, port)))
                for name, port in ports.items()
            }
        await asyncio.gather(
            relay.ready(lambda: is_ready(ground.internal_url("relay"))),
            api.ready(lambda: is_ready(ground.internal_url("api"))),
            *(process.ready(partial(listens, port)) for port, process in baselines.values()),
        )
        _refuse_unlike(api, baselines["fastapi"][1])
        yield Running(ground, api, relay, baselines)


def _refuse_unlike(service: ChildProcess, baseline: ChildProcess) -> None:
    if (ours := event_loop(service)) != (theirs := event_loop(baseline)):
        raise LocalServerError(f"the service runs on {ours}, the baseline on {theirs}")


def event_loop(process: ChildProcess) -> str:
    """Return on which event loop a server runs: asyncio's own unless uvloop is loaded."""
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    return "uvloop" if "/uvloop/" in loaded else "asyncio"


def _ports(data: Path) -> dict[str, int]:
    names = [name for service in SERVICES for name in (service, f"{service}_internal")]
    return choose_ports(data, dict.fromkeys((*names, "smtp", "inbox", "relay_internal")))


async def _refuse_forgetful(ground: Ground) -> None:
    connection = await asyncpg.connect(ground.superuser_dsn)
    try:
        for setting in ("fsync", "synchronous_commit"):
            if await connection.fetchval(f"SHOW {setting}") != "on":
                raise LocalServerError(f"a measurement without {setting} says nothing")
    finally:
        await connection.close()


async def _migrate(ground: Ground) -> None:
    command = ground.process("migrate").command
    process = await asyncio.create_subprocess_exec(
        *command.arguments,
        env=clean_environment(command.environment),
        cwd="/",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise LocalServerError(f"{command.name} failed:\n{said.decode()[-3000:]}")


def _baseline(data: Path, name: str, port: int) -> ChildProcess:
    return ChildProcess(
        Command(
            name=name,
            arguments=(sys.executable, "-m", "bench.verify.baselines", name, str(port)),
            log=data / "logs" / f"{name}.log",
            pid_file=data / "run" / f"{name}.pid",
            environment={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
    )


async def listens(port: int) -> bool:
    """Tell whether somebody accepts connections on a port of this machine."""
    try:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
