"""Script calls of concurrent requests: one command a script, whatever the number of requests."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import hiredis
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.batching import Batches
from services.verification.redis_line import Argument, RedisLine
from services.verification.scripts import ALL, Script

_LARGEST = 512
_LEFT_ALONE = timedelta(milliseconds=500)


class CacheDown(Exception):  # noqa: N818
    """Redis did not answer in time; PostgreSQL takes its place."""


class _Call(msgspec.Struct, frozen=True):
    script: Script
    key: str
    arguments: Sequence[Argument]


class ScriptCalls:
    """Calls scripts; an answer belongs to its call, whatever happens to the callers.

    `first` are the arguments that a script gets before those of the keys.
    """

    def __init__(self, redis: Redis, *, first: dict[Script, Sequence[Argument]]) -> None:
        self._redis = redis
        self._line = RedisLine(redis)
        self._first = first
        self._left_alone_until = 0.0
        self._batches: Batches[_Call, object] = Batches(self._send, largest=_LARGEST)

    def call(
        self, script: Script, key: str, arguments: Sequence[Argument]
    ) -> "asyncio.Future[object]":
        """Return what the script answers for this key; this and the answer raise CacheDown."""
        if asyncio.get_running_loop().time() < self._left_alone_until:
            raise CacheDown("left alone after a failure")
        return self._batches.do(_Call(script, key, arguments))

    def begin(self, script: Script, key: str, arguments: Sequence[Argument]) -> None:
        """Call a script before every later call of this process, without waiting for it."""
        self._batches.begin(_Call(script, key, arguments))

    async def drained(self) -> None:
        """Return when nothing is under way, and hang up."""
        await self._batches.drained()
        self._line.close()

    async def _send(self, calls: list[_Call]) -> list[object]:
        # What was to be told goes first, and each script's calls stay in their order.
        scripts = sorted({one.script for one in calls}, key=lambda script: script.rank)
        numbers = [[n for n, one in enumerate(calls) if one.script is script] for script in scripts]
        commands = [
            self._command(script, [calls[n] for n in group])
            for script, group in zip(scripts, numbers, strict=True)
        ]
        try:
            replies = await self._run(commands)
        except (RedisError, OSError) as error:
            # Whoever asks next need not wait until this is noticed again.
            now = asyncio.get_running_loop().time()
            self._left_alone_until = now + _LEFT_ALONE.total_seconds()
            raise CacheDown(type(error).__name__) from None
        answers: list[object] = [None] * len(calls)
        for group, reply in zip(numbers, replies, strict=True):
            for place, n in enumerate(group):
                answers[n] = reply[place] if isinstance(reply, list) else _refusal(reply)
        return answers

    def _command(self, script: Script, calls: list[_Call]) -> list[Argument]:
        command: list[Argument] = ["EVALSHA", script.digest, len(calls)]
        command += [one.key for one in calls]
        command += self._first.get(script, ())
        for one in calls:
            command += one.arguments
        return command

    async def _run(self, commands: list[list[Argument]]) -> list[object]:
        replies = await self._line.send(commands)
        unknown = [n for n, reply in enumerate(replies) if _is_unknown(reply)]
        if unknown:
            # A script that Redis does not know has done nothing, so it can be called again. All are
            # loaded together: if one were missing, what comes after it would overtake it.
            await self._line.send([["SCRIPT", "LOAD", script.text] for script in ALL])
            again = await self._line.send([commands[n] for n in unknown])
            for n, reply in zip(unknown, again, strict=True):
                replies[n] = reply
        return replies


def _refusal(reply: object) -> object:
    # Full, loading, read-only: it answers, but it does nothing.
    return CacheDown(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply


def _is_unknown(reply: object) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
