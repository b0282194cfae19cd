"""A guess is paid for before the code is looked at: in Redis, or where it is out in PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from libs.postgres.pool import Pool, tenant_transaction
from services.verification.domain.budget import (
    Budget,
    Family,
    family_of,
    level_at,
    wait_after,
    wait_until_fits,
)
from services.verification.domain.outcome import Refused, Why
from services.verification.entries import Settled
from services.verification.reserve import (
    Cache,
    CachedAuthenticator,
    Cold,
    Copy,
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
# A lock that Redis speaks of is believed for a while, before PostgreSQL is asked about it again.
_BELIEVED_FOR = timedelta(seconds=10)
_MOST_BELIEVED = 10_000
# With the time that settling may take it is what a caller waits at most.
_LONGEST = timedelta(seconds=3)


class Charged(msgspec.Struct, frozen=True):
    """A guess that is paid for, what may judge it, its price, and whether PostgreSQL has it."""

    copy: Copy
    weight: int
    durably: bool
    family: Family
    at: datetime


class Unpaid(msgspec.Struct, frozen=True):
    """A guess before it is paid for: whose, when, on what, and to which budget."""

    tenant: UUID
    subject: UUID
    now: datetime
    tried_on: str
    family: Family


class Guesses:
    """The reserve step, and what follows from how the guess ended."""

    def __init__(self, *, pool: Pool, cache: Cache, budget: Budget) -> None:
        self._pool = pool
        self._cache = cache
        self._budget = budget
        self._without_cache = asyncio.Semaphore(_MOST_WITHOUT_CACHE)
        self._believed_until: dict[tuple[UUID, UUID, Family], float] = {}
        self._loads: dict[tuple[UUID, UUID, Family], asyncio.Task[None]] = {}

    async def reserve(self, guess: Unpaid) -> Charged | Refused:
        """Charge one guess on what it is tried on, or say why there is none; TimeoutError too."""
        try:
            answer = await self._reserve_in_cache(guess)
        except CacheDown:
            async with asyncio.timeout(_LONGEST.total_seconds()):
                return await self._reserve_durably(guess)
        if isinstance(answer, Reserved):
            return Charged(
                answer.copy,
                answer.weight,
                durably=False,
                family=guess.family,
                at=guess.now,
            )
        if isinstance(answer, Refusal) and not self._is_in_doubt(guess):
            return self._refused(answer)
        async with asyncio.timeout(_LONGEST.total_seconds()):
            return await self._reserve_cold(answer, guess)

    def _reserve_in_cache(self, guess: Unpaid) -> Awaitable[Reservation]:
        return self._cache.reserve(
            guess.tenant,
            guess.subject,
            now=guess.now,
            tried_on=guess.tried_on,
            family=guess.family,
        )

    async def _reserve_cold(self, answer: Reservation, guess: Unpaid) -> Charged | Refused:
        try:
            if isinstance(answer, Refusal):
                answer = await self._asked_again(answer, guess)
            for _ in range(_MOST_LOADS):
                if not isinstance(answer, Cold):
                    break
                await self._load_once(guess)
                answer = await self._reserve_in_cache(guess)
        except CacheDown:
            return await self._reserve_durably(guess)
        match answer:
            case Reserved(copy, weight):
                return Charged(copy, weight, durably=False, family=guess.family, at=guess.now)
            case Refusal():
                return self._refused(answer)
            case Cold():
                # It changes faster than it is loaded, or nobody is there; PostgreSQL knows.
                return await self._reserve_durably(guess)

    def _is_in_doubt(self, guess: Unpaid) -> bool:
        """Tell whether to ask PostgreSQL: Redis may not have heard of an unlocking."""
        place, now = (guess.tenant, guess.subject, guess.family), asyncio.get_running_loop().time()
        if now < self._believed_until.get(place, 0.0):
            return False
        if len(self._believed_until) >= _MOST_BELIEVED:
            self._believed_until.clear()
        self._believed_until[place] = now + _BELIEVED_FOR.total_seconds()
        return True

    async def _asked_again(self, refusal: Refusal, guess: Unpaid) -> Reservation:
        """Reserve with what PostgreSQL knows, where that may be better than what Redis says."""
        if refusal.why is Denied.BUDGET:
            # The next load brings the last unlocking along.
            self._cache.drop(guess.tenant, guess.subject, guess.family)
            return await self._reserve_in_cache(guess)
        async with tenant_transaction(self._pool, guess.tenant) as tx:
            stored = await store.load_subject(tx, guess.subject)
            if stored is None or self._is_held_up(stored.failures[guess.family], guess.now):
                return refusal
            version = await store.bump_cache_version(tx, guess.subject)
        await self._cache.tell_changed(guess.tenant, guess.subject, version=version)
        return await self._reserve_in_cache(guess)

    def _is_held_up(self, failures: store.Failures, now: datetime) -> bool:
        waits = failures.failed_at + wait_after(failures.consecutive, self._budget) > now
        return failures.consecutive >= self._budget.consecutive or (
            failures.consecutive >= self._budget.before_waiting and waits
        )

    def _refused(self, refusal: Refusal) -> Refused:
        match refusal.why:
            case Denied.LOCKED:
                return Refused(Why.LOCKED)
            case Denied.WAITING:
                return Refused(Why.WAITING, timedelta(seconds=refusal.seconds))
            case Denied.BUDGET:
                return self._over_budget(refusal.level, refusal.weight)

    async def never_made(self, tenant: UUID, subject: UUID, charged: Charged) -> None:
        """Give back a charge after which no code was looked at."""
        if charged.durably:
            async with tenant_transaction(self._pool, tenant) as tx:
                await store.give_back(tx, subject, charged.weight, charged.family)
            return
        self._cache.refund(
            tenant, subject, accepted=False, weight=charged.weight, family=charged.family
        )

    def was_right(
        self, tenant: UUID, subject: UUID, charged: Charged, settled: Settled, *, moved: bool
    ) -> None:
        """Give the charge back after a code was accepted; `moved`: of an authenticator that counts.

        Its counter in the copy is out of date then, and a window that begins there ends too soon.
        """
        if moved:
            self._cache.drop(tenant, subject)
        if charged.durably:
            self._tell_failed(tenant, subject, charged, settled)
        else:
            self._cache.refund(
                tenant, subject, accepted=True, weight=charged.weight, family=charged.family
            )

    def was_wrong(
        self, tenant: UUID, subject: UUID, charged: Charged, settled: Settled, *, moved: bool
    ) -> None:
        """Note what PostgreSQL has counted now; `moved`: a counter may be out of date in the copy.

        For one that moved while Redis was away, so that the next guess finds it. What of the copy
        is out of date otherwise is read again, too.
        """
        if moved or settled.version != charged.copy.version:
            self._cache.drop(tenant, subject, charged.family)
        self._tell_failed(tenant, subject, charged, settled)

    def _tell_failed(self, tenant: UUID, subject: UUID, charged: Charged, settled: Settled) -> None:
        self._cache.tell_failed(
            tenant,
            subject,
            version=settled.version,
            consecutive=settled.consecutive,
            level=settled.spent,
            at=charged.at,
            family=charged.family,
        )

    def is_of_no_use(self, tenant: UUID, subject: UUID, charged: Charged) -> None:
        """Read the copy again next time: nothing in it may judge what was asked."""
        self._cache.drop(tenant, subject, charged.family)

    async def is_outdated(self, tenant: UUID, subject: UUID, version: int, family: Family) -> None:
        """Let no copy in that is older than PostgreSQL was, and none stay that is newer."""
        with suppress(CacheDown):
            await self._cache.tell_changed(tenant, subject, version=version)
        # Where PostgreSQL was put back, Redis may keep a higher version, and takes no other then.
        self._cache.drop(tenant, subject, family)

    async def is_stale(self, tenant: UUID, subject: UUID) -> None:
        """Drop the cached copy after PostgreSQL contradicted it (best effort)."""
        async with tenant_transaction(self._pool, tenant) as tx:
            version = await store.bump_cache_version(tx, subject)
        with suppress(CacheDown):
            await self._cache.tell_changed(tenant, subject, version=version)

    async def _load_once(self, guess: Unpaid) -> None:
        # One loader a subject: a thousand requests on a cold cache must not become as many reads.
        place = (guess.tenant, guess.subject, guess.family)
        running = self._loads.get(place)
        if running is None:
            running = asyncio.create_task(self._load(guess))
            self._loads[place] = running
            running.add_done_callback(lambda _: self._loads.pop(place, None))
        await asyncio.shield(running)

    async def _load(self, guess: Unpaid) -> None:
        async with tenant_transaction(self._pool, guess.tenant) as tx:
            stored = await store.load_subject(tx, guess.subject)
        if stored is None:
            return
        failures = stored.failures[guess.family]
        await self._cache.fill(
            guess.tenant,
            guess.subject,
            copy=_copy(stored, guess.family),
            level=failures.spent.level,
            at=failures.spent.at,
            consecutive=failures.consecutive,
            failed_at=failures.failed_at,
            unlocked_version=stored.unlocked_version,
            family=guess.family,
        )

    async def _reserve_durably(self, guess: Unpaid) -> Charged | Refused:
        subject, now, family = guess.subject, guess.now, guess.family
        async with self._without_cache, tenant_transaction(self._pool, guess.tenant) as tx:
            stored = await store.load_subject(tx, subject)
            if stored is None:
                return Refused(Why.NOTHING_ENROLLED)
            copy = _copy(stored, family)
            weight = prices(copy.authenticators).get(guess.tried_on, 1)
            charged = await store.charge(
                tx, subject, weight, now=now, budget=self._budget, family=family
            )
        if charged:
            return Charged(copy, weight, durably=True, family=family, at=now)
        failures = stored.failures[family]
        if failures.consecutive >= self._budget.consecutive:
            return Refused(Why.LOCKED)
        waits = failures.failed_at + wait_after(failures.consecutive, self._budget) - now
        if failures.consecutive >= self._budget.before_waiting and waits > timedelta(0):
            return Refused(Why.WAITING, waits)
        return self._over_budget(level_at(failures.spent, now, self._budget), weight)

    def _over_budget(self, level: float, weight: int) -> Refused:
        if weight > self._budget.capacity:
            # Waiting does not help; naming the authenticator does.
            return Refused(Why.TOO_MANY_AT_ONCE)
        return Refused(Why.BUDGET, wait_until_fits(level, weight, self._budget))


def _copy(stored: store.StoredSubject, family: Family) -> Copy:
    of = stored.attributes
    return Copy(
        stored.cache_version,
        of.user_type,
        of.groups,
        of.known,
        _cached(stored.authenticators, family),
    )


def _cached(
    stored: Sequence[store.StoredAuthenticator], family: Family
) -> tuple[CachedAuthenticator, ...]:
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
        if family_of(one.factor) is family
    )
