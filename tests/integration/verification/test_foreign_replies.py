"""What Redis says of its own accord is nobody's answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import hiredis
import pytest
from redis.exceptions import RedisError

from services.verification.redis_line import RedisLine
from services.verification.reserve import Reserved, open_redis
from tests.fixtures.services import MakeDatabase
from tests.integration.verification.test_slow_and_silent import (
    cache_answers,
    cut_off_redis,
    no_leftovers,
)

__all__ = ["no_leftovers"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# As Redis Enterprise, Redis Cloud and Azure say it to whoever has asked for it with CLIENT
# MAINT_NOTIFICATIONS ON, which redis-py 8 does by itself (RESP3 and `auto` are its defaults).
MOVING = b">4\r\n+MOVING\r\n:7\r\n:15\r\n$14\r\n127.0.0.1:6379\r\n"
_HELLO = b"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nversion\r\n$5\r\n7.4.0\r\n"


class Talkative:
    """A Redis that echoes, and says `unasked` before, or after, the answer to an ECHO of `at`."""

    def __init__(self, *, at: str, before: bytes = b"", after: bytes = b"") -> None:
        self._at, self._before, self._after = at.encode(), before, after
        self.handshake: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        with suppress(OSError, asyncio.CancelledError):
            while part := await reader.read(65_536):
                commands.feed(part)
                while (command := commands.gets()) is not False:
                    await self._answer([bytes(one) for one in command], writer)
        writer.close()

    async def _answer(self, command: Sequence[bytes], writer: asyncio.StreamWriter) -> None:
        if command[0] != b"ECHO":
            self.handshake.append(b" ".join(command[:2]))
            writer.write(_HELLO if command[0] == b"HELLO" else b"+OK\r\n")
            return
        if command[1] == self._at and self._before:
            writer.write(self._before)
        # Each in a segment of its own, as from a Redis that is not on this machine.
        await asyncio.sleep(0.02)
        writer.write(b"+%s\r\n" % command[1])
        if command[1] == self._at and self._after:
            await asyncio.sleep(0.02)
            writer.write(self._after)


@asynccontextmanager
async def line_to(server: Talkative) -> AsyncIterator[RedisLine]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with open_redis(f"redis://127.0.0.1:{port}/0", timeout=timedelta(seconds=1)) as redis:
        line = RedisLine(redis)
        yield line
        line.close()
    listening.close()


async def asked(line: RedisLine, word: str) -> object:
    try:
        return (await line.send([["ECHO", word]]))[0]
    except RedisError as error:
        return error


@pytest.mark.security("S13")
async def test_a_push_is_nobodys_answer() -> None:
    server = Talkative(at="two", before=MOVING)
    async with line_to(server) as line:
        answers = [await asked(line, word) for word in ("one", "two", "three", "four", "five")]

    # The word itself or an error, never somebody else's.
    for word, answer in zip(("one", "two", "three", "four", "five"), answers, strict=True):
        assert isinstance(answer, RedisError) or answer == word.encode(), (word, answers)


async def test_nobody_asks_for_pushes() -> None:
    server = Talkative(at="nothing")
    async with line_to(server) as line:
        await asked(line, "one")

    assert server.handshake
    assert b"HELLO 3" not in server.handshake
    assert b"CLIENT MAINT_NOTIFICATIONS" not in server.handshake


@pytest.mark.security("S13")
async def test_a_reply_that_nobody_waits_for_ends_the_connection() -> None:
    server = Talkative(at="one", after=b"+somebody else's\r\n")
    async with line_to(server) as line:
        assert await asked(line, "one") == b"one"
        wire = line._wire
        assert wire is not None

        async with asyncio.timeout(5):
            while not wire.is_lost:  # noqa: ASYNC110 - the server's time, not ours
                await asyncio.sleep(0.01)


@pytest.mark.security("S13")
async def test_after_a_push_nobody_is_handed_what_is_somebody_elses(
    service_database: MakeDatabase, tmp_path: Path
) -> None:
    async with cut_off_redis(service_database, tmp_path) as (world, proxy):
        application = await world.application()
        one, other = [await world.person(application.tenant) for _ in range(2)]
        for person in (one, other):
            assert (await world.verify(application, person, world.code(person))).status_code == 200
        await world.cache.drained()
        await cache_answers(world, one)
        proxy.delay = 0.04

        first = asyncio.create_task(cache_answers(world, one))
        await asyncio.sleep(0.06)
        for writer in proxy._writers:
            if writer.get_extra_info("sockname")[1] == proxy.port:
                writer.write(MOVING)
        assert await first
        handed = await world.cache.reserve(
            other.tenant, other.subject_ref, now=world.clock(), tried_on="6"
        )

        assert isinstance(handed, Reserved)
        assert [who.authenticator_id for who in handed.copy.authenticators] == [
            other.authenticator_id
        ]
