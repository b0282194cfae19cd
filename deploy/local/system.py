"""The whole system on one machine: servers, services, inbox and front door, in order."""

import asyncio
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.caddy import Caddy
from deploy.local.database import prepare_database
from deploy.local.front_door import ROUTES, caddyfile
from deploy.local.ports import FRONT_DOOR, choose_ports
from deploy.local.process import (
    ChildProcess,
    LocalServerError,
    Progress,
    clean_environment,
    to_the_end,
)
from deploy.local.secrets import LocalSecrets, local_secrets
from deploy.local.servers import Servers, start_servers
from deploy.local.services import (
    Surroundings,
    inbox_process,
    is_ready,
    service_process,
)
from deploy.local.topics import prepare_topics
from deploy.roles import SERVICES


@dataclass
class System:
    """A running system; everything that was started is stopped in reverse order."""

    around: Surroundings
    processes: dict[str, ChildProcess] = field(default_factory=dict)
    caddy: Caddy | None = None

    @property
    def servers(self) -> Servers:
        """Return PostgreSQL, Valkey and Kafka."""
        return self.around.servers

    @property
    def made(self) -> LocalSecrets:
        """Return the system's keys and passwords."""
        return self.around.made

    @property
    def url(self) -> str:
        """Return the address of the front door."""
        return f"http://127.0.0.1:{self.around.ports['front_door']}"

    @property
    def inbox_url(self) -> str:
        """Return the address of the page that shows the mail."""
        return f"http://127.0.0.1:{self.around.ports['inbox']}"

    async def start_service(self, service: str) -> None:
        """Start one service and wait until it can do its work."""
        process = service_process(self.around, service)
        self.processes[service] = process
        process.start()
        await process.ready(lambda: is_ready(self.around.internal_url(service)))

    async def stop_service(self, service: str) -> None:
        """Stop one service in order."""
        await self.processes.pop(service).stop()

    async def stop(self) -> None:
        """Stop everything: front door first, databases last."""
        if self.caddy is not None:
            await self.caddy.stop()
        await asyncio.gather(*(process.stop() for process in self.processes.values()))
        self.processes.clear()
        await self.servers.stop()


async def start_system(
    data: Path,
    on_progress: Progress,
    *,
    services: Sequence[str] = SERVICES,
    prefer_front_door: bool = False,
) -> System:
    """Start everything on the data of a folder, making what is missing; all or nothing."""
    servers = await start_servers(data, on_progress)
    system = System(Surroundings(data, servers, local_secrets(data), {}))
    try:
        ports = _ports(data, on_progress, prefer_front_door=prefer_front_door)
        system.around = Surroundings(data, servers, system.made, ports)
        await _prepare(system, on_progress)
        await _start_services(system, services, on_progress)
        await _open_front_door(system, on_progress)
    except BaseException:
        await system.stop()
        raise
    return system


def _ports(data: Path, on_progress: Progress, *, prefer_front_door: bool) -> dict[str, int]:
    names = [name for service in SERVICES for name in (service, f"{service}_internal")]
    front_door = FRONT_DOOR if prefer_front_door else None
    wanted: dict[str, int | None] = {"front_door": front_door}
    return choose_ports(
        data, wanted | dict.fromkeys((*names, "smtp", "inbox")), on_progress=on_progress
    )


async def _prepare(system: System, on_progress: Progress) -> None:
    begin = time.monotonic()
    postgres, kafka = system.servers.postgres, system.servers.kafka
    await asyncio.gather(
        prepare_database(postgres, system.made), prepare_topics(kafka.bootstrap_servers)
    )
    await asyncio.gather(*(_migrate(system, service) for service in SERVICES))
    on_progress(f"schemas and topics are ready ({time.monotonic() - begin:.1f} s)")


async def _migrate(system: System, service: str) -> None:
    process = service_process(system.around, service, role="migrate")
    await to_the_end(_run_once, process)


def _run_once(process: ChildProcess) -> None:
    command = process.command
    done = subprocess.run(
        command.arguments,
        env=clean_environment(command.environment),
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-3000:]
        raise LocalServerError(f"{command.name} failed:\n{said}")


async def _start_services(system: System, services: Sequence[str], on_progress: Progress) -> None:
    begin = time.monotonic()
    inbox = inbox_process(system.around)
    system.processes["inbox"] = inbox
    inbox.start()
    await asyncio.gather(
        inbox.ready(lambda: is_ready(system.inbox_url)),
        *(system.start_service(service) for service in services),
    )
    on_progress(f"{', '.join(services)} are ready ({time.monotonic() - begin:.1f} s)")


async def _open_front_door(system: System, on_progress: Progress) -> None:
    around = system.around
    upstreams = {service: around.public_url(service).removeprefix("http://") for service in ROUTES}
    port = around.ports["front_door"]
    caddy = Caddy(
        around.data / "caddy", port=port, caddyfile=caddyfile(port=port, upstreams=upstreams)
    )
    await caddy.start()
    system.caddy = caddy
    on_progress(f"the front door is open at {system.url}")
