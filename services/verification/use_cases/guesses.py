"""A guess is paid for before the code is looked at: in Redis, or where it is out in PostgreSQL."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import msgspec

from libs.postgres.pool import Pool, tenant_transaction
from services.verification.domain.budget import (
    Budget,
    level_at,
    wait_until_fits,
    weight_of,
)
from services.verification.domain.outcome import Refused, Why
from services.verification.reserve import (
    Cache,
    CachedAuthenticator,
    Cold,
    Denied,
    Refusal,
    Reserved,
)
from services.verification.script_calls import CacheDown
from services.verification.store import subjects as store

# With Redis down PostgreSQL does its work; more than this at once would sink it too.
_MOST_WITHOUT_CACHE = 16
# A copy that is dropped while it is loaded is loaded again: a charge in PostgreSQL that a load sees
# before it is given back stays in Redis as a guess that nobody made.
_MOST_LOADS = 3


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
        self, tenant: UUID, subject: UUID, *, now: datetime, named: bool
    ) -> Charged | Refused:
        """Charge one guess, or say why there is none; `named`: on one authenticator only."""
        try:
            answer = await self._cache.reserve(tenant, subject, now=now, named=named)
            for _ in range(_MOST_LOADS):
                if not isinstance(answer, Cold):
                    break
                await self._load_once(tenant, subject, now)
                answer = await self._cache.reserve(tenant, subject, now=now, named=named)
        except CacheDown:
            return await self._reserve_durably(tenant, subject, now, named=named)
        match answer:
            case Reserved(authenticators):
                weight = weight_of(len(authenticators), named=named)
                return Charged(authenticators, weight, durably=False)
            case Refusal(Denied.LOCKED, _):
                return Refused(Why.LOCKED)
            case Refusal(_, level):
                # At least: a guess on several authenticators has to wait longer.
                return Refused(Why.BUDGET, wait_until_fits(level, 1, self._budget))
            case Cold():
                # It changes faster than it is loaded, or nobody is there; PostgreSQL knows.
                return await self._reserve_durably(tenant, subject, now, named=named)

    async def never_made(self, tenant: UUID, subject: UUID, charged: Charged) -> None:
        """Give back a charge after which no code was looked at."""
        if charged.durably:
            async with tenant_transaction(self._pool, tenant) as tx:
                await store.give_back(tx, subject, charged.weight)
            return
        self._cache.refund(tenant, subject, accepted=False, weight=charged.weight)

    def was_right(self, tenant: UUID, subject: UUID, charged: Charged) -> None:
        """Give the charge back after a code was accepted."""
        if charged.durably:
            self._cache.tell_failed(tenant, subject, consecutive=0, level=0.0)
        else:
            self._cache.refund(tenant, subject, accepted=True, weight=charged.weight)

    def was_wrong(self, tenant: UUID, subject: UUID, *, consecutive: int, level: float) -> None:
        """Note what PostgreSQL has counted now."""
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
        self, tenant: UUID, subject: UUID, now: datetime, *, named: bool
    ) -> Charged | Refused:
        async with self._without_cache, tenant_transaction(self._pool, tenant) as tx:
            stored = await store.load_subject(tx, subject)
            if stored is None:
                return Refused(Why.NOTHING_ENROLLED)
            weight = weight_of(len(stored.authenticators), named=named)
            charged = await store.charge(tx, subject, weight, now=now, budget=self._budget)
        if charged:
            return Charged(_cached(stored.authenticators), weight, durably=True)
        if stored.consecutive >= self._budget.consecutive:
            return Refused(Why.LOCKED)
        level = level_at(stored.spent, now, self._budget)
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
        )
        for one in stored
    )
