import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from libs.sealing.kept import Ages, Kept
from libs.sealing.trouble import KeyDestroyed, KeysUnavailable

MINUTE = 60.0


@dataclass
class Source:
    """Counts its readings; fails or waits as it is told."""

    readings: int = 0
    failure: Exception | None = None
    gate: asyncio.Event | None = None
    now: float = 0.0
    patience: timedelta = timedelta(seconds=10)
    kept: Kept[str, int] = field(init=False)

    def __post_init__(self) -> None:
        ages = Ages(fresh=timedelta(minutes=5), good=timedelta(minutes=15))
        self.kept = Kept(self.read, ages=ages, time=lambda: self.now, patience=self.patience)

    async def read(self, _key: str) -> int:
        self.readings += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.readings

    async def settled(self) -> None:
        """Let a reading in the background end."""
        for _ in range(5):
            await asyncio.sleep(0)


async def test_what_is_fresh_is_not_read_again() -> None:
    source = Source()
    assert await source.kept.get("a") == 1

    source.now = 5 * MINUTE - 1

    assert source.kept.fresh("a") == 1
    assert source.readings == 1


async def test_what_gets_old_is_read_in_the_background_while_the_copy_is_used() -> None:
    source = Source()
    await source.kept.get("a")
    source.now, source.gate = 5 * MINUTE, asyncio.Event()

    assert source.kept.fresh("a") is None
    assert [await source.kept.get("a") for _ in range(3)] == [1, 1, 1]

    source.gate.set()
    await source.settled()
    assert source.kept.fresh("a") == 2
    assert source.readings == 2


@pytest.mark.fault("R28")
@pytest.mark.parametrize(
    ("minutes", "is_served"), [(1, True), (14.9, True), (15, False), (20, False)]
)
async def test_a_copy_is_used_for_15_minutes_without_its_source(
    minutes: float, is_served: bool
) -> None:
    source = Source()
    await source.kept.get("a")
    source.failure = KeysUnavailable("down")

    source.now = minutes * MINUTE

    if is_served:
        assert await source.kept.get("a") == 1
    else:
        with pytest.raises(KeysUnavailable):
            await source.kept.get("a")
    await source.settled()


@pytest.mark.fault("R28")
async def test_the_15_minutes_count_from_before_the_last_answer() -> None:
    source = Source(gate=asyncio.Event())
    asking = asyncio.create_task(source.kept.get("a"))
    await source.settled()

    source.now = 4 * MINUTE
    assert source.gate is not None
    source.gate.set()
    await asking

    source.now, source.failure = 15 * MINUTE, KeysUnavailable("down")
    with pytest.raises(KeysUnavailable):
        await source.kept.get("a")


async def test_many_who_come_first_cause_one_reading() -> None:
    source = Source(gate=asyncio.Event())
    asking = [asyncio.create_task(source.kept.get("a")) for _ in range(20)]
    await source.settled()

    assert source.gate is not None
    source.gate.set()

    assert await asyncio.gather(*asking) == [1] * 20
    assert source.readings == 1


async def test_who_gives_up_leaves_the_reading_to_the_others() -> None:
    source = Source(gate=asyncio.Event())
    first, second = (asyncio.create_task(source.kept.get("a")) for _ in range(2))
    await source.settled()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert source.gate is not None
    source.gate.set()

    assert await second == 1


@pytest.mark.fault("R28")
async def test_nobody_waits_for_ever_where_there_is_no_copy() -> None:
    source = Source(gate=asyncio.Event(), patience=timedelta(seconds=0.01))

    with pytest.raises(KeysUnavailable):
        await source.kept.get("a")

    assert source.gate is not None
    source.gate.set()
    await source.settled()
    assert source.kept.fresh("a") == 1
    assert source.readings == 1


async def test_a_source_that_is_away_is_not_asked_at_every_use() -> None:
    source = Source()
    await source.kept.get("a")
    source.now, source.failure = 6 * MINUTE, KeysUnavailable("down")
    for _ in range(10):
        assert (source.kept.fresh("a") or await source.kept.get("a")) == 1
        await source.settled()

    assert source.readings == 2
    source.now, source.failure = source.now + 5, None
    await source.kept.get("a")
    await source.settled()
    assert source.kept.fresh("a") == 3


@pytest.mark.fault("R28")
async def test_what_is_destroyed_is_used_no_more() -> None:
    source = Source()
    await source.kept.get("a")
    source.now, source.failure = 5 * MINUTE, KeyDestroyed("gone")

    await source.kept.get("a")
    await source.settled()

    with pytest.raises(KeyDestroyed):
        await source.kept.get("a")


@pytest.mark.fault("R28")
async def test_what_nobody_uses_does_not_stay_in_memory() -> None:
    source = Source()
    await source.kept.get("a")
    await source.kept.get("b")
    source.now = 14 * MINUTE
    await source.kept.get("b")
    await source.settled()

    source.now = 15 * MINUTE
    source.kept.drop_old()

    assert list(source.kept._held) == ["b"]


async def test_closing_forgets_everything() -> None:
    source = Source()
    await source.kept.get("a")

    await source.kept.close()

    assert source.kept.fresh("a") is None
