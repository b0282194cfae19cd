"""Servers of one run alone, to be killed, emptied and cut off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
from redis.asyncio import Redis

from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.process import private_file
from deploy.local.valkey import Valkey
from deploy.roles import role_statements, roles_of
from libs.postgres.migrate import migrate
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import ROOT, ServiceDatabase
from tests.integration.messaging.bench import until

SERVICE = "verification"
_SLOTS = 16_384


@asynccontextmanager
async def own_valkey(folder: Path) -> AsyncIterator[Valkey]:
    valkey = Valkey(folder / "valkey", port=free_port())
    await valkey.start()
    try:
        yield valkey
    finally:
        await valkey.stop()
        valkey.delete_data()


@asynccontextmanager
async def own_cluster(folder: Path, *, masters: int = 3) -> AsyncIterator[list[Valkey]]:
    """Start a Redis Cluster of masters without replicas, one share of the slots each."""
    nodes = [_cluster_node(folder / f"node{n}") for n in range(masters)]
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        await _join(nodes)
        yield nodes
    finally:
        for node in nodes:
            await node.stop()
            node.delete_data()


def _cluster_node(folder: Path) -> Valkey:
    folder.mkdir(parents=True)
    private_file(folder / "valkey.password", "the-same-for-all")
    settings = {
        "cluster-enabled": "yes",
        "cluster-port": str(free_port()),
        "cluster-node-timeout": "1000",
        # One master that is gone must not take the others with it.
        "cluster-require-full-coverage": "no",
    }
    return Valkey(folder, port=free_port(), settings=settings)


async def _join(nodes: list[Valkey]) -> None:
    clients = [Redis.from_url(node.url(), socket_timeout=5) for node in nodes]
    share = -(-_SLOTS // len(nodes))
    for n, client in enumerate(clients):
        last = min(_SLOTS, (n + 1) * share) - 1
        await ask(client, "CLUSTER", "ADDSLOTSRANGE", n * share, last)
        await ask(client, "CLUSTER", "SET-CONFIG-EPOCH", n + 1)
    for node in nodes[1:]:
        bus = node._settings["cluster-port"]
        await ask(clients[0], "CLUSTER", "MEET", node.host, node.port, bus)
    for client in clients:
        await until(lambda: _is_whole(client, len(nodes)))  # noqa: B023
        await client.aclose()


async def _is_whole(client: Redis, masters: int) -> bool:
    told = await ask(client, "CLUSTER", "INFO")
    rows = await ask(client, "CLUSTER", "SLOTS")
    assert isinstance(rows, list)
    return "cluster_state:ok" in str(told) and len({row[2][1] for row in rows}) == masters


async def ask(client: Redis, *command: str | int) -> object:
    """Return the plain answer of a node."""
    answer: object = await client.execute_command(*command)  # type: ignore[no-untyped-call]
    return answer


@asynccontextmanager
async def own_postgres(folder: Path) -> AsyncIterator[tuple[Postgres, RunningServers]]:
    """Start a PostgreSQL; what is returned beside it makes DSNs as for the shared servers."""
    data = folder / "postgres"
    postgres = Postgres(data, port=free_port())
    await postgres.start()
    try:
        yield postgres, RunningServers(postgres.port, str(data), valkey_url="", kafka="")
    finally:
        await postgres.stop()
        postgres.delete_data()


async def new_database(servers: RunningServers) -> ServiceDatabase:
    """Make a database with verification's schema; it goes with its server."""
    name = f"s{uuid4().hex[:12]}"
    await _execute(servers.dsn(), f"CREATE DATABASE {name}")
    await _execute(
        servers.dsn(name), role_statements(SERVICE, dict.fromkeys(roles_of(SERVICE), "watchword"))
    )
    stored = ServiceDatabase(servers, name, SERVICE)
    folder = ROOT / "services" / SERVICE / "migrations"
    migrate(stored.dsn(f"{SERVICE}_owner"), schema=SERVICE, folder=folder)
    return stored


async def _execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()
