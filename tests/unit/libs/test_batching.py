import asyncio
from datetime import timedelta

import pytest

from libs.batching import Batches


class Work:
    """Notes the batches; each waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int | Exception]:
        self.batches.append(items)
        await self.gate.wait()
        return [ValueError("odd") if item == 13 else item * 2 for item in items]


async def test_what_arrives_meanwhile_goes_together() -> None:
    work = Work()
    batches = Batches(work)
    asked = [asyncio.ensure_future(batches.do(1))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked += [asyncio.ensure_future(batches.do(n)) for n in (2, 3)]
    await asyncio.sleep(0)

    work.gate.set()

    assert await asyncio.gather(*asked) == [2, 4, 6]
    assert work.batches == [[1], [2, 3]]


async def test_two_of_one_kind_are_never_in_one_batch() -> None:
    work = Work()
    work.gate.set()
    batches = Batches(work, apart=lambda item: item % 2)

    answers = await asyncio.gather(*(batches.do(n) for n in (1, 3, 2, 5)))

    assert answers == [2, 6, 4, 10]
    assert work.batches == [[1, 2], [3], [5]]


async def test_a_batch_has_a_largest_size() -> None:
    work = Work()
    work.gate.set()
    batches = Batches(work, largest=2)

    await asyncio.gather(*(batches.do(n) for n in range(5)))

    assert work.batches == [[0, 1], [2, 3], [4]]


async def test_an_error_of_one_is_not_the_others() -> None:
    work = Work()
    work.gate.set()
    batches = Batches(work)

    answers = await asyncio.gather(*(batches.do(n) for n in (1, 13)), return_exceptions=True)

    assert answers[0] == 2
    assert isinstance(answers[1], ValueError)


async def test_an_error_of_the_work_reaches_all_and_the_next_batch_is_done() -> None:
    async def broken(items: list[int]) -> list[int]:
        if 0 in items:
            raise OSError("down")
        return items

    batches = Batches(broken)

    answers = await asyncio.gather(batches.do(0), batches.do(1), return_exceptions=True)

    assert [type(answer) for answer in answers] == [OSError, OSError]
    assert await batches.do(1) == 1


async def test_whoever_goes_away_takes_nothing_with_it() -> None:
    work = Work()
    batches = Batches(work)
    gone, stays = (asyncio.ensure_future(batches.do(n)) for n in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    work.gate.set()

    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await stays == 4
    assert work.batches == [[1, 2]]


async def test_what_nobody_waits_for_goes_with_the_next() -> None:
    work = Work()
    work.gate.set()
    batches = Batches(work)
    batches.begin(13)

    assert await batches.do(2) == 4
    batches.begin(5)
    await batches.drained()

    assert work.batches == [[13, 2], [5]]


async def test_what_nobody_waits_for_is_done_soon_all_the_same() -> None:
    done = asyncio.Event()

    async def work(items: list[int]) -> list[int]:
        done.set()
        return items

    Batches(work).begin(1)

    await asyncio.wait_for(done.wait(), 5)


async def test_what_has_waited_too_long_is_not_begun() -> None:
    work = Work()
    batches = Batches(work, patience=timedelta(milliseconds=20))
    first = asyncio.ensure_future(batches.do(1))
    await asyncio.sleep(0)
    late = batches.do(2)
    await asyncio.sleep(0.03)
    in_time = batches.do(3)

    work.gate.set()

    assert [await first, await in_time] == [2, 6]
    with pytest.raises(TimeoutError):
        await late
    assert work.batches == [[1], [3]]
