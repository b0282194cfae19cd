"""A batch whose work is cancelled: does everybody hear something?"""

import asyncio
from collections.abc import Sequence

from libs.batching import Batches


async def test_a_batch_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def cancelled(_items: list[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    batches: Batches[int, int] = Batches(cancelled)

    done, _ = await asyncio.wait([batches.do(1)], timeout=0.2)

    assert done


async def test_a_wrong_number_of_answers_leaves_nobody_waiting() -> None:
    async def too_few(items: list[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        return items[1:]

    batches: Batches[int, int] = Batches(too_few)

    done, _ = await asyncio.wait([batches.do(1), batches.do(2)], timeout=0.2)

    assert len(done) == 2
