"""What arrives while a batch is under way goes together in the next one: nobody waits for more."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
# For what nobody waits for: long enough to go with somebody's, short enough to be of use.
_SOON = timedelta(milliseconds=10)
# What is to be done, since when it waits, and who waits for it, if anybody.
_Waiting = tuple[Item, float, asyncio.Future[Answer] | None]


class Batches(Generic[Item, Answer]):
    """Hands items to `work` in batches, one batch at a time.

    `work` returns one answer an item, in their order; an answer that is an exception is raised
    for its item, and what `work` itself raises for all. No two items whose `apart` is equal are in
    one batch. A caller that goes away takes nothing with it: its item is done all the same. What
    has waited longer than `patience` when its turn comes is not begun: TimeoutError.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        largest: int = 256,
        patience: timedelta = timedelta.max,
        apart: Callable[[Item], Hashable] | None = None,
    ) -> None:
        self._work = work
        self._largest = largest
        self._patience = patience.total_seconds()
        self._apart = apart
        self._waiting: list[_Waiting[Item, Answer]] = []
        self._running: asyncio.Task[None] | None = None

    def do(self, item: Item) -> asyncio.Future[Answer]:
        """Return the answer to this item, when it is there; it raises TimeoutError too."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, loop.time(), future))
        self._start()
        return future

    def begin(self, item: Item) -> None:
        """Have this item done with the next batch, or soon; how it ends is nobody's concern."""
        loop = asyncio.get_running_loop()
        if not self._waiting and self._running is None:
            loop.call_later(_SOON.total_seconds(), self._start)
        self._waiting.append((item, loop.time(), None))

    async def drained(self) -> None:
        """Return when nothing waits and nothing is under way."""
        self._start()
        while self._running is not None:
            await asyncio.wait([self._running])

    def _start(self) -> None:
        if self._running is None and self._waiting:
            self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while batch := self._next():
                await self._answer(batch)
        finally:
            self._running = None

    async def _answer(self, batch: list[_Waiting[Item, Answer]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._work([item for item, _, _ in batch])
            if len(answers) != len(batch):
                answers = [RuntimeError("not one answer for each item")] * len(batch)
        except Exception as error:
            answers = [error] * len(batch)
        except BaseException:
            for _, _, future in batch:
                if future is not None:
                    future.cancel()
            raise
        for (_, _, future), answer in zip(batch, answers, strict=True):
            if future is None or future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _give_up_late_ones(self) -> None:
        latest = asyncio.get_running_loop().time() - self._patience
        if not self._waiting or self._waiting[0][1] >= latest:
            return
        late = [one for one in self._waiting if one[1] < latest]
        self._waiting = [one for one in self._waiting if one[1] >= latest]
        for _, _, future in late:
            if future is not None and not future.done():
                future.set_exception(TimeoutError("not begun in time"))

    def _next(self) -> list[_Waiting[Item, Answer]]:
        self._give_up_late_ones()
        if self._apart is None:
            batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            return batch
        batch, later = [], []
        seen: set[Hashable] = set()
        for waiting in self._waiting:
            who = self._apart(waiting[0])
            if who in seen or len(batch) == self._largest:
                later.append(waiting)
                continue
            seen.add(who)
            batch.append(waiting)
        self._waiting = later
        return batch
