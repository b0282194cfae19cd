"""Values that are read again in the background, well before they are too old to be used."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

import structlog

from libs.sealing.trouble import KeysUnavailable, KeyTrouble

_LOG = structlog.get_logger("keys")
_RETRY_AFTER = 5.0
_DROP_EVERY = 60.0
# For the caller of what nobody has read yet; PostgreSQL's own limits end before it.
_PATIENCE = timedelta(seconds=4.5)

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Ages:
    """A value is used for `good`, and read again when it is used after `fresh`."""

    fresh: timedelta
    good: timedelta


@dataclass(slots=True)
class _Held(Generic[Value]):
    value: Value
    fresh_until: float
    good_until: float


class Kept(Generic[Key, Value]):
    """A copy of what `read` returns, by key; `time` counts seconds.

    One reading at a time for each key: whoever has no copy that is good waits for that one.
    """

    def __init__(
        self,
        read: Callable[[Key], Awaitable[Value]],
        *,
        ages: Ages,
        time: Callable[[], float],
        patience: timedelta = _PATIENCE,
    ) -> None:
        self._read = read
        self._fresh, self._good = ages.fresh.total_seconds(), ages.good.total_seconds()
        self._time = time
        self._patience = patience.total_seconds()
        self._held: dict[Key, _Held[Value]] = {}
        self._reading: dict[Key, asyncio.Task[Value]] = {}
        self._dropping: asyncio.TimerHandle | None = None

    def fresh(self, key: Key) -> Value | None:
        """Return the copy, or None where it is to be asked for with `get`."""
        held = self._held.get(key)
        return held.value if held is not None and self._time() < held.fresh_until else None

    async def get(self, key: Key) -> Value:
        """Return a copy that is good; raises what `read` does, KeysUnavailable when it is slow."""
        held, task = self._held.get(key), self._reading.get(key)
        if task is None:
            task = self._begin(key)
        if held is not None and self._time() < held.good_until:
            return held.value
        # Who gives up leaves the reading to those who come later.
        await asyncio.wait({task}, timeout=self._patience)
        if not task.done():
            raise KeysUnavailable("a key takes too long to be read")
        return task.result()

    def drop_old(self) -> None:
        """Forget what is not good any more."""
        now = self._time()
        self._held = {key: held for key, held in self._held.items() if now < held.good_until}

    async def close(self) -> None:
        """Forget everything."""
        if self._dropping is not None:
            self._dropping.cancel()
        reading = list(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        self._held.clear()

    def _begin(self, key: Key) -> asyncio.Task[Value]:
        task = asyncio.create_task(self._read_now(key))
        self._reading[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def _read_now(self, key: Key) -> Value:
        # From before the question: what was true then is what the answer says at least.
        began = self._time()
        value = await self._read(key)
        self._held[key] = _Held(value, began + self._fresh, began + self._good)
        if self._dropping is None:
            self._drop_later()
        return value

    def _ended(self, key: Key, done: asyncio.Task[Value]) -> None:
        self._reading.pop(key, None)
        error = None if done.cancelled() else done.exception()
        if error is None:
            return
        if isinstance(error, LookupError):
            # Anybody may ask for a key that is not there.
            self._held.pop(key, None)
            return
        said = str(error) if isinstance(error, KeyTrouble) else None
        _LOG.warning("a key was not read", exception=type(error).__name__, said=said)
        held = self._held.get(key)
        if held is not None:
            held.fresh_until = min(self._time() + _RETRY_AFTER, held.good_until)

    def _drop_later(self) -> None:
        self.drop_old()
        loop = asyncio.get_running_loop()
        self._dropping = loop.call_later(_DROP_EVERY, self._drop_later) if self._held else None
