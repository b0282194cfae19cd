"""Guesses over many subjects, counted in Redis by leases.

A process takes guesses of a bucket in advance and spends them without asking; what is not spent
goes back after a few seconds. So a bucket may look fuller than it is, never emptier by more than
what runs out of it while a lease lasts. Without Redis there are no such limits: then each subject's
budget, and how few are judged at once, are what holds.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec

from libs.clock import Clock
from services.verification.reserve import Bucket, Cache
from services.verification.script_calls import CacheDown

_LEASE = timedelta(seconds=5)
_LOOK_EVERY_SECONDS = 1.0
# Of a large bucket so many at once; of a small one a hundredth, which may be a single one.
_MOST_AT_ONCE = 64
_SHARE = 100


class _Lease(msgspec.Struct):
    bucket: Bucket
    left: int
    until: float


class Coarse:
    """Takes guesses and gives them back."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._taking: dict[str, asyncio.Task[bool]] = {}

    async def spend(self, buckets: Sequence[Bucket]) -> Sequence[Bucket] | None:
        """Spend a guess of each bucket; None, and nothing is spent, where one of them is full.

        Returns of which: where Redis does not answer nothing is counted.
        """
        spent: list[Bucket] = []
        for bucket in buckets:
            try:
                fits = self._spend_leased(bucket) or await self._take(bucket)
            except CacheDown:
                continue
            if not fits:
                self.give_back(spent)
                return None
            spent.append(bucket)
        return spent

    def _spend_leased(self, bucket: Bucket) -> bool:
        lease = self._leases.get(bucket.key)
        if lease is None or lease.left < 1:
            return False
        lease.left -= 1
        return True

    async def _take(self, bucket: Bucket) -> bool:
        while await self._lease_once(bucket):
            if self._spend_leased(bucket):
                return True
        return False

    async def _lease_once(self, bucket: Bucket) -> bool:
        # One lease a bucket, however many wait for it.
        taking = self._taking.get(bucket.key)
        if taking is None:
            taking = self._taking[bucket.key] = asyncio.create_task(self._lease(bucket))
            taking.add_done_callback(lambda _: self._taking.pop(bucket.key, None))
        return await asyncio.shield(taking)

    async def _lease(self, bucket: Bucket) -> bool:
        most = max(1, min(_MOST_AT_ONCE, bucket.limit.at_once // _SHARE))
        granted = await self._cache.charge_coarse(bucket, now=self._clock(), most=most, back=0)
        lease = self._leases.get(bucket.key)
        if lease is None:
            until = asyncio.get_running_loop().time() + _LEASE.total_seconds()
            lease = self._leases[bucket.key] = _Lease(bucket, 0, until)
        lease.left += granted
        return granted > 0

    def give_back(self, buckets: Sequence[Bucket]) -> None:
        """Give back a guess of each, after a right code; what is not leased any more is lost."""
        for bucket in buckets:
            lease = self._leases.get(bucket.key)
            if lease is not None:
                lease.left += 1

    async def run(self, stop: asyncio.Event) -> None:
        """Give back what leases have left when they end (a part of the process)."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_EVERY_SECONDS)
            await self._return(asyncio.get_running_loop().time())
        await self._return(float("inf"))

    async def _return(self, now: float) -> None:
        over = [lease for lease in self._leases.values() if lease.until < now]
        for lease in over:
            del self._leases[lease.bucket.key]
        with suppress(CacheDown):
            await asyncio.gather(
                *(
                    self._cache.charge_coarse(
                        lease.bucket, now=self._clock(), most=0, back=lease.left
                    )
                    for lease in over
                    if lease.left
                )
            )
