"""One connection to Redis over which whole pipelines go, with little work for each command.

redis-py opens it (address, TLS, AUTH, database); what goes over it then is packed and read by
hiredis without a task, a stream or a timer for every command: a fifth of the processor's time.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

Argument = str | bytes | int | float
_MORE = object()


class RedisLine:
    """A connection that mends itself; one pipeline at a time, which is the caller's to see to.

    A pipeline may take as long as the client lets a socket be silent.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._seconds: float = redis.connection_pool.connection_kwargs["socket_timeout"]
        self._wire: _Wire | None = None

    async def send(self, commands: Sequence[Sequence[Argument]]) -> list[object]:
        """Return the replies in order, an error as a hiredis.ReplyError; raises RedisError."""
        packed = b"".join(hiredis.pack_command(tuple(one)) for one in commands)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(self._seconds):
                wire = self._wire
                if wire is None or wire.is_lost:
                    wire = self._wire = await self._open()
                return await wire.ask(packed, len(commands))
        except TimeoutError:
            self.close()
            raise RedisTimeoutError("no answer in time") from None
        except BaseException:
            # What is still under way must not be taken for the answer to something else.
            self.close()
            raise

    def close(self) -> None:
        """Hang up; the next pipeline opens anew."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.hang_up()

    async def _open(self) -> "_Wire":
        connection = self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        return _Wire(connection)


class _Wire(asyncio.Protocol):
    """Takes over the transport of a connection that redis-py has opened."""

    def __init__(self, opened: AbstractConnection) -> None:
        self.is_lost = False
        # Kept, because redis-py closes what it opened when it is collected.
        self._opened = opened
        self._transport: Any = opened._writer.transport  # type: ignore[union-attr]
        self._transport.set_protocol(self)
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._replies: list[object] = []
        self._expected = 0
        self._all_there: asyncio.Future[list[object]] | None = None

    def ask(self, packed: bytes, expected: int) -> "asyncio.Future[list[object]]":
        """Send packed commands; the replies come all together."""
        self._replies, self._expected = [], expected
        self._all_there = asyncio.get_running_loop().create_future()
        self._transport.write(packed)
        return self._all_there

    def data_received(self, data: bytes) -> None:
        """Take replies in, however they are cut into pieces."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _MORE:
                # What Redis says of its own accord (RESP3) is no reply to anything.
                if not isinstance(reply, hiredis.PushNotification):
                    self._replies.append(reply)
        except hiredis.ProtocolError:
            self.hang_up()
            return
        if self._all_there is None and self._replies:
            # Nobody asked: it must not be given to whoever asks next.
            self.hang_up()
        elif len(self._replies) >= self._expected:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits."""
        self.is_lost = True
        self._end(RedisConnectionError(type(exc).__name__ if exc else "closed by Redis"))

    def hang_up(self) -> None:
        """Give the connection up at once."""
        self.is_lost = True
        self._transport.abort()
        # Or it warns that nobody closed it.
        self._opened._close()  # type: ignore[no-untyped-call]

    def _end(self, error: Exception | None) -> None:
        waiting, self._all_there = self._all_there, None
        if waiting is None or waiting.done():
            return
        if error is not None:
            waiting.set_exception(error)
        elif len(self._replies) > self._expected:
            # Somebody else's answer must not be given to anybody.
            self.hang_up()
            waiting.set_exception(RedisConnectionError("more replies than commands"))
        else:
            replies, self._replies = self._replies, []
            waiting.set_result(replies)
