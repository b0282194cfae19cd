"""A DSN with several servers leads to the one that takes writes, whatever the others do."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.local.ports import free_port
from libs.postgres.hosts import connect, each_server
from libs.postgres.line import Line
from tests.fixtures.servers import Database, RunningServers

pytestmark = pytest.mark.fault("R13")


@asynccontextmanager
async def nobody_answers() -> AsyncIterator[int]:
    """A server that takes connections and says nothing; yields its port."""

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def with_another(servers: RunningServers, port: int, dsn: str) -> str:
    mine = f":{servers.postgres_port}/"
    return dsn.replace(mine, f":{port},127.0.0.1{mine}")


def test_a_dsn_is_split_into_one_for_each_server() -> None:
    assert each_server("postgresql://u:p%2C@a:1,b:2/db?x=y") == [
        "postgresql://u:p%2C@a:1/db?x=y",
        "postgresql://u:p%2C@b:2/db?x=y",
    ]
    assert each_server("postgresql://u@a/db") == ["postgresql://u@a/db"]


async def test_a_server_that_hangs_costs_no_time(
    servers: RunningServers, database: Database
) -> None:
    async with nobody_answers() as port:
        dsn, begun = with_another(servers, port, database.dsn("app")), time.monotonic()
        connection = await connect(dsn, timeout=5)
        took = time.monotonic() - begun
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    assert took < 1


async def test_a_server_that_is_away_is_passed_over_and_all_away_is_an_error(
    servers: RunningServers, database: Database
) -> None:
    connection = await connect(with_another(servers, free_port(), database.dsn("app")), timeout=5)
    await connection.close()
    with pytest.raises(OSError, match="Connect call failed"):
        await connect(f"postgresql://u@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/x")


async def test_a_line_to_a_server_that_was_demoted_is_given_up(
    servers: RunningServers, database: Database
) -> None:
    dsn = with_another(servers, free_port(), database.dsn("app"))
    line = Line(dsn, name="test", seconds=2, server_settings={})
    [[first]] = await line.fetch("SELECT pg_backend_pid()")
    [[still]] = await line.fetch("SELECT pg_backend_pid()")
    # What a server says to its sessions when it is told to take no writes.
    await line.fetch("SET default_transaction_read_only = on")
    [[second]] = await line.fetch("SELECT pg_backend_pid()")
    await line.close()

    assert first == still != second
