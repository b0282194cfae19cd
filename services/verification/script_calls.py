"""Script calls of concurrent requests, sent to Redis in one write and read in one go."""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from libs.batching import Batches
from services.verification.scripts import Script

_LARGEST = 512


class CacheDown(Exception):  # noqa: N818
    """Redis did not answer in time; PostgreSQL takes its place."""


@dataclass(frozen=True, slots=True)
class _Call:
    script: Script
    key: str
    arguments: Sequence[str | bytes | int | float]


class ScriptCalls:
    """Calls scripts; an answer belongs to its call, whatever happens to the callers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._batches: Batches[_Call, object] = Batches(self._send, largest=_LARGEST)

    async def call(
        self, script: Script, key: str, arguments: Sequence[str | bytes | int | float]
    ) -> object:
        """Return what the script answered; raises CacheDown."""
        try:
            return await self._batches.do(_Call(script, key, arguments))
        except RedisError as error:
            raise CacheDown(type(error).__name__) from None

    def begin(
        self, script: Script, key: str, arguments: Sequence[str | bytes | int | float]
    ) -> None:
        """Call a script before every later call of this process, without waiting for it."""
        self._batches.begin(_Call(script, key, arguments))

    async def drained(self) -> None:
        """Return when nothing is under way."""
        await self._batches.drained()

    async def _send(self, calls: list[_Call]) -> list[object]:
        answers = await self._once(calls)
        missing = [n for n, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missing:
            # A script that Redis does not know has done nothing, so it can be called again.
            for script in {calls[n].script for n in missing}:
                await self._redis.script_load(script.text)
            again = await self._once([calls[n] for n in missing])
            for n, answer in zip(missing, again, strict=True):
                answers[n] = answer
        return answers

    async def _once(self, calls: list[_Call]) -> list[object]:
        pipe = self._redis.pipeline(transaction=False)
        for one in calls:
            pipe.execute_command("EVALSHA", one.script.digest, 1, one.key, *one.arguments)
        answers: list[object] = await pipe.execute(raise_on_error=False)
        return answers
