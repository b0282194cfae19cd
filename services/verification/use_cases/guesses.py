"""A guess is paid for before the code is looked at: in Redis, or where it is out in PostgreSQL."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from libs.postgres.pool import Pool, tenant_transaction
from services.verification.domain.budget import (
    Budget,
    level_at,
    wait_until_fits,
)
from services.verification.domain.outcome import Refused, Why
from services.verification.reserve import (
    Cache,
    CachedAuthenticator,
    Cold,
    Denied,
    Refusal,
    Reservation,
    Reserved,
    prices,
)
from services.verification.script_calls import CacheDown
from services.verification.store import subjects as store

# With Redis down PostgreSQL does its work; more than this at once would sink it too.
_MOST_WITHOUT_CACHE = 16
# A copy that is dropped while it is loaded is loaded again: a charge in PostgreSQL that a load sees
# before it is given back stays in Redis as a guess that nobody made.
_MOST_LOADS = 3
# With the time that settling may take it is what a caller waits at most.
_LONGEST = timedelta(seconds=3)


class Charged(msgspec.Struct, frozen=True):
    """A guess that is paid for, what may judge it, its price, and whether PostgreSQL has it."""

    authenticators: Sequence[CachedAuthenticator]
    weight: int
    durably: bool


class Guesses:
    """The reserve step, and what follows from how the guess ended."""

    def __init__(self, *, pool: Pool, cache: Cache, budget: Budget) -> None:
        self._pool = pool
        self._cache = cache
        self._budget = budget
        self._without_cache = asyncio.Semaphore(_MOST_WITHOUT_CACHE)
        self._loads: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}

    async def reserve(
        self, tenant: UUID, subject: UUID, *, now: datetime, tried_on: str
    ) -> Charged | Refused:
        """Charge one guess on what it is tried on, or say why there is none; TimeoutError too."""
        try:
            answer = await self._cache.reserve(tenant, subject, now=now, tried_on=tried_on)
        except CacheDown:
            async with asyncio.timeout(_LONGEST.total_seconds()):
                return await self._reserve_durably(tenant, subject, now, tried_on=tried_on)
        if isinstance(answer, Reserved):
            return Charged(answer.authenticators, answer.weight, durably=False)
        async with asyncio.timeout(_LONGEST.total_seconds()):
            return await self._reserve_cold(answer, tenant, subject, now, tried_on=tried_on)

    async def _reserve_cold(
        self, answer: Reservation, tenant: UUID, subject: UUID, now: datetime, *, tried_on: str
    ) -> Charged | Refused:
        try:
            for _ in range(_MOST_LOADS):
                if not isinstance(answer, Cold):
                    break
                await self._load_once(tenant, subject, now)
                answer = await self._cache.reserve(tenant, subject, now=now, tried_on=tried_on)
        except CacheDown:
            return await self._reserve_durably(tenant, subject, now, tried_on=tried_on)
        match answer:
            case Reserved(authenticators, weight):
                return Charged(authenticators, weight, durably=False)
            case Refusal(Denied.LOCKED):
                return Refused(Why.LOCKED)
            case Refusal(_, level, weight):
                return self._over_budget(level, weight)
            case Cold():
                # It changes faster than it is loaded, or nobody is there; PostgreSQL knows.
                return await self._reserve_durably(tenant, subject, now, tried_on=tried_on)

    async def never_made(self, tenant: UUID, subject: UUID, charged: Charged) -> None:
        """Give back a charge after which no code was looked at."""
        if charged.durably:
            async with tenant_transaction(self._pool, tenant) as tx:
                await store.give_back(tx, subject, charged.weight)
            return
        self._cache.refund(tenant, subject, accepted=False, weight=charged.weight)

    def was_right(self, tenant: UUID, subject: UUID, charged: Charged, *, moved: bool) -> None:
        """Give the charge back after a code was accepted; `moved`: of an authenticator that counts.

        Its counter in the copy is out of date then, and a window that begins there ends too soon.
        """
        if moved:
            self._cache.drop(tenant, subject)
        if charged.durably:
            self._cache.tell_failed(tenant, subject, consecutive=0, level=0.0)
        else:
            self._cache.refund(tenant, subject, accepted=True, weight=charged.weight)

    def was_wrong(
        self, tenant: UUID, subject: UUID, *, consecutive: int, level: float, moved: bool
    ) -> None:
        """Note what PostgreSQL has counted now; `moved`: a counter may be out of date in the copy.

        For one that moved while Redis was away, so that the next guess finds it.
        """
        if moved:
            self._cache.drop(tenant, subject)
        self._cache.tell_failed(tenant, subject, consecutive=consecutive, level=level)

    async def is_stale(self, tenant: UUID, subject: UUID) -> None:
        """Drop the cached copy after PostgreSQL contradicted it (best effort)."""
        async with tenant_transaction(self._pool, tenant) as tx:
            version = await store.bump_cache_version(tx, subject)
        with suppress(CacheDown):
            await self._cache.tell_changed(tenant, subject, version=version)

    async def _load_once(self, tenant: UUID, subject: UUID, now: datetime) -> None:
        # One loader a subject: a thousand requests on a cold cache must not become as many reads.
        running = self._loads.get((tenant, subject))
        if running is None:
            running = asyncio.create_task(self._load(tenant, subject, now))
            self._loads[tenant, subject] = running
            running.add_done_callback(lambda _: self._loads.pop((tenant, subject), None))
        await asyncio.shield(running)

    async def _load(self, tenant: UUID, subject: UUID, now: datetime) -> None:
        async with tenant_transaction(self._pool, tenant) as tx:
            stored = await store.load_subject(tx, subject)
        if stored is None:
            return
        await self._cache.fill(
            tenant,
            subject,
            version=stored.cache_version,
            authenticators=_cached(stored.authenticators),
            level=level_at(stored.spent, now, self._budget),
            at=max(now, stored.spent.at),
            consecutive=stored.consecutive,
        )

    async def _reserve_durably(
        self, tenant: UUID, subject: UUID, now: datetime, *, tried_on: str
    ) -> Charged | Refused:
        async with self._without_cache, tenant_transaction(self._pool, tenant) as tx:
            stored = await store.load_subject(tx, subject)
            if stored is None:
                return Refused(Why.NOTHING_ENROLLED)
            authenticators = _cached(stored.authenticators)
            weight = prices(authenticators).get(tried_on, 1)
            charged = await store.charge(tx, subject, weight, now=now, budget=self._budget)
        if charged:
            return Charged(authenticators, weight, durably=True)
        if stored.consecutive >= self._budget.consecutive:
            return Refused(Why.LOCKED)
        return self._over_budget(level_at(stored.spent, now, self._budget), weight)

    def _over_budget(self, level: float, weight: int) -> Refused:
        if weight > self._budget.capacity:
            # Waiting does not help; naming the authenticator does.
            return Refused(Why.TOO_MANY_AT_ONCE)
        return Refused(Why.BUDGET, wait_until_fits(level, weight, self._budget))


def _cached(stored: Sequence[store.StoredAuthenticator]) -> tuple[CachedAuthenticator, ...]:
    return tuple(
        CachedAuthenticator(
            authenticator_id=one.authenticator_id,
            factor=one.factor,
            epoch=one.epoch,
            sealed=one.sealed,
            algorithm=one.algorithm,
            digits=one.digits,
            period=one.period,
            last_step=one.last_step,
        )
        for one in stored
    )
