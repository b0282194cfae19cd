"""A DSN may name several servers (`host1:port1,host2:port2`): that which takes writes is meant."""

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from libs.postgres.failures import INFRASTRUCTURE_ERRORS

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Pooled: TypeAlias = PoolConnectionProxy[asyncpg.Record]
else:
    Connection: TypeAlias = asyncpg.Connection
    Pooled: TypeAlias = asyncpg.Connection
_FAILURES: tuple[type[Exception], ...] = (*INFRASTRUCTURE_ERRORS, asyncpg.PostgresError)


async def connect(dsn: str, **options: Any) -> Connection:
    """Connect as asyncpg does; of several servers all are asked at once, and the first one is it.

    One after the other, a server that hangs would use up the time of those behind it.
    """
    servers = each_server(dsn)
    if len(servers) == 1:
        return await asyncpg.connect(dsn, **options)
    options["target_session_attrs"] = "read-write"
    asked = {asyncio.create_task(asyncpg.connect(one, **options)) for one in servers}
    try:
        return await _first(asked)
    finally:
        for task in asked:
            task.add_done_callback(_let_go)
            task.cancel()


def each_server(dsn: str) -> list[str]:
    """Return a DSN for each server that this one names."""
    parts = urlsplit(dsn)
    user, at, hosts = parts.netloc.rpartition("@")
    return [urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) for host in hosts.split(",")]


def takes_no_writes(connection: Connection | Pooled) -> bool:
    """Tell whether the server has said so since it was connected to: it was demoted."""
    said = connection.get_settings()
    return "on" in (
        getattr(said, "default_transaction_read_only", "off"),
        getattr(said, "in_hot_standby", "off"),
    )


async def _first(asked: set["asyncio.Task[Connection]"]) -> Connection:
    error: BaseException | None = None
    waiting = set(asked)
    while waiting:
        answered, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in answered:
            error = task.exception()
            if error is None:
                asked.discard(task)
                return task.result()
            if not isinstance(error, _FAILURES):
                raise error
    raise error or OSError("no server")


def _let_go(task: "asyncio.Task[Connection]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()
