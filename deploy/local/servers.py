"""All three servers of one data folder, started together and stopped in reverse order."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import Kafka
from deploy.local.leftovers import end_leftovers
from deploy.local.locks import try_lock, unlock
from deploy.local.ports import choose_ports
from deploy.local.postgres import Postgres
from deploy.local.process import LocalServerError, Progress
from deploy.local.valkey import Valkey

PORT_NAMES = ("postgres", "valkey", "kafka", "kafka_controller")


@dataclass(frozen=True)
class Servers:
    """The running servers of one data folder, which is locked until they are stopped."""

    postgres: Postgres
    valkey: Valkey
    kafka: Kafka
    lock: int

    async def stop(self) -> None:
        """Stops the servers, the one that others may still write to last."""
        for server in (self.kafka, self.valkey, self.postgres):
            await server.stop()
        unlock(self.lock)

    def delete_data(self) -> None:
        """Deletes the data of the stopped servers, for throw-away folders."""
        for server in (self.kafka, self.valkey, self.postgres):
            server.delete_data()


async def start_servers(
    data: Path,
    on_progress: Progress,
    *,
    postgres_settings: Mapping[str, str] | None = None,
) -> Servers:
    """Starts the servers concurrently; when one fails, none is left running."""
    lock = try_lock(data / "lock")
    if lock is None:
        raise LocalServerError(f"the servers of {data} are already running")
    try:
        for name in ("kafka", "valkey", "postgres"):
            await end_leftovers(data / name)
        servers = _servers(data, on_progress, lock=lock, postgres_settings=postgres_settings)
    except BaseException:
        unlock(lock)
        raise
    try:
        await _start_all(servers, on_progress)
    except BaseException:
        await servers.stop()
        raise
    return servers


def _servers(
    data: Path,
    on_progress: Progress,
    *,
    lock: int,
    postgres_settings: Mapping[str, str] | None,
) -> Servers:
    ports = choose_ports(data, dict.fromkeys(PORT_NAMES), on_progress=on_progress)
    return Servers(
        postgres=Postgres(
            data / "postgres",
            port=ports["postgres"],
            settings=postgres_settings,
            on_progress=on_progress,
        ),
        valkey=Valkey(data / "valkey", port=ports["valkey"], on_progress=on_progress),
        kafka=Kafka(
            data / "kafka",
            port=ports["kafka"],
            controller_port=ports["kafka_controller"],
            on_progress=on_progress,
        ),
        lock=lock,
    )


async def _start_all(servers: Servers, on_progress: Progress) -> None:
    starts: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
        ("PostgreSQL", servers.postgres.start),
        ("Valkey", servers.valkey.start),
        ("Kafka", servers.kafka.start),
    )
    try:
        async with asyncio.TaskGroup() as group:
            for name, start in starts:
                group.create_task(_start(name, start, on_progress=on_progress))
    except ExceptionGroup as failed:
        # One failure cancels the others, so there is hardly ever a second one to tell.
        raise failed.exceptions[0] from None


async def _start(name: str, start: Callable[[], Awaitable[None]], *, on_progress: Progress) -> None:
    begin = time.monotonic()
    await start()
    on_progress(f"{name} is ready ({time.monotonic() - begin:.1f} s)")
