"""What the long fault runs stand on: servers that may be killed, databases for each round."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg

from deploy.local.servers import Servers
from libs.messaging.kafka import KafkaSettings
from tests.fixtures.servers import Database, RunningServers
from tests.integration.messaging.bench import Bench, open_bench
from tests.integration.verification import grounds
from tests.integration.verification.conftest import World, running_world


@dataclass(frozen=True)
class Ground:
    """The servers of this machine that the runs may kill."""

    servers: Servers
    running: RunningServers
    folder: Path

    @asynccontextmanager
    async def world(self) -> AsyncIterator[World]:
        """Run verification on a database of its own."""
        stored = await grounds.new_database(self.running)
        async with running_world(stored, self.running.valkey_url, self.folder) as world:
            yield world

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        """Open a topic and the plumbing's tables in a database of their own."""
        database = await _messaging_database(self.running)
        async with open_bench(database, KafkaSettings(self.running.kafka)) as bench:
            yield bench


async def _messaging_database(running: RunningServers) -> Database:
    service = f"t{uuid4().hex[:12]}"
    owner, app, worker = (f"{service}_{role}" for role in ("owner", "app", "worker"))
    admin = await asyncpg.connect(running.dsn())
    for role in (owner, app, worker):
        await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{service}'")
    await admin.execute(f"CREATE DATABASE {service}")
    await admin.close()
    inside = await asyncpg.connect(running.dsn(service))
    await inside.execute(f"CREATE SCHEMA {service} AUTHORIZATION {owner}")
    await inside.execute(f"GRANT USAGE ON SCHEMA {service} TO {app}, {worker}")
    await inside.execute(f"ALTER DATABASE {service} SET search_path = {service}")
    await inside.close()
    return Database(running, service)
