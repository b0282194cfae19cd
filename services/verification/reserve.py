"""The cache in Redis: it may refuse and it may hand out sealed credentials, never accept.

One hash a subject and family of factors, `w:{<tenant>/<subject_ref>}` and, of recovery codes,
`w:{<tenant>/<subject_ref>}r`, so one cluster slot:
v version of the copy, or the lowest that may come · c the authenticators · n what a guess costs by
what it is tried on (` 6:2 <id>:1 <id>:1 `) · s, t level and time of the failure bucket · f
consecutive failures, w when the last was · u version of the last unlocking.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from services.verification.cluster_calls import ClusterCalls
from services.verification.cluster_map import Cluster
from services.verification.domain.budget import GUESSED, Budget, Family, prices_of
from services.verification.domain.coarse import Limit
from services.verification.redis_line import Argument
from services.verification.script_calls import CacheDown, ScriptCalls
from services.verification.scripts import (
    CHANGED,
    COARSE,
    DROP,
    FAILED,
    FILL,
    REFUND,
    RESERVE,
    UNLOCK,
    Script,
)


class Denied(Enum):
    """Why the cache refused without a look at the code."""

    BUDGET = "budget"
    LOCKED = "locked"
    WAITING = "waiting"


class Cold(msgspec.Struct, frozen=True):
    """The cache knows nothing of this subject."""


class Refusal(msgspec.Struct, frozen=True):
    """No guess is left: how full the bucket is, and what the guess would have cost.

    `seconds` says how long it waits after failures in a row.
    """

    why: Denied
    level: float = 0.0
    weight: int = 1
    seconds: float = 0.0


class CachedAuthenticator(msgspec.Struct, frozen=True, array_like=True):
    """An authenticator as the cache keeps it: the secret stays sealed.

    `last_step` may be out of date; only HOTP, whose window begins there, looks at it.
    """

    authenticator_id: UUID
    factor: str
    epoch: int
    sealed: bytes
    algorithm: str | None
    digits: int | None
    period: int | None
    last_step: int


class Copy(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a subject, of which version: attributes and authenticators of one family.

    `known`: the attributes have arrived.
    """

    version: int
    user_type: str | None
    groups: tuple[str, ...]
    known: bool
    authenticators: tuple[CachedAuthenticator, ...]


class Reserved(msgspec.Struct, frozen=True):
    """One guess is charged with its weight; the authenticators of this copy may judge it."""

    copy: Copy
    weight: int


Reservation = Reserved | Refusal | Cold

_LOG = structlog.get_logger("cache")
_NEVER = datetime.fromtimestamp(0, UTC)
_SUFFIX = {Family.CODES: "", Family.RECOVERY: "r"}
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Copy)


class Bucket(msgspec.Struct, frozen=True):
    """A place where wrong codes of many subjects are counted, and how many may be."""

    key: str
    limit: Limit


class NotSafeToUse(Exception):  # noqa: N818
    """Redis is set up so that it may forget budgets on its own."""


class Cache:
    """The reserve step and what keeps it fresh; every call may raise CacheDown."""

    def __init__(self, redis: Redis | Cluster, budget: Budget) -> None:
        self._redis = redis
        self._is_safe = True
        limits = (budget.capacity, budget.per_second, budget.consecutive, budget.before_waiting)
        first: dict[Script, Sequence[Argument]] = {RESERVE: limits, FILL: (budget.per_second,)}
        self._calls: ScriptCalls | ClusterCalls = (
            ClusterCalls(redis, first=first)
            if isinstance(redis, Cluster)
            else ScriptCalls(redis, first=first)
        )

    async def refuse_unsafe(self) -> None:
        """Raise NotSafeToUse where Redis would evict keys when it is full.

        In a cluster every master is asked; one that is away may be safe, so CacheDown comes last.
        """
        away: CacheDown | None = None
        for server in await self._servers():
            try:
                await _refuse_unsafe(server)
            except CacheDown as error:
                away = error
        if away is not None:
            raise away

    async def look_again(self) -> None:
        """Reserve nothing more in a Redis that has become forgetful, until it is safe again.

        It is told what happens all the same, so that it knows when it is.
        """
        try:
            await self.refuse_unsafe()
        except NotSafeToUse as error:
            if self._is_safe:
                _LOG.error("Redis is left alone", exception=str(error))
            self._is_safe = False
        except CacheDown:
            # It cannot say; what it said last still counts.
            return
        else:
            self._is_safe = True

    async def _servers(self) -> Sequence[Redis]:
        if isinstance(self._redis, Redis):
            return [self._redis]
        try:
            return await self._redis.masters()
        except RedisError as error:
            raise CacheDown(type(error).__name__) from None

    async def reserve(
        self,
        tenant: UUID,
        subject: UUID,
        *,
        now: datetime,
        tried_on: str,
        family: Family = Family.CODES,
    ) -> Reservation:
        """Charge one guess and return what may judge it, all or nothing.

        What it costs follows from what it is tried on (domain/budget.py, `prices_of`).
        """
        if not self._is_safe:
            raise CacheDown("left alone: it may forget budgets")
        answer = await self._calls.call(
            RESERVE,
            _key(tenant, subject, family),
            [now.timestamp(), tried_on],
        )
        match answer:
            case [b"ok", bytes(kept), int(weight)]:
                return self._reserved(tenant, subject, kept, weight, family)
            case [b"locked"]:
                return Refusal(Denied.LOCKED)
            case [b"wait", bytes(seconds)]:
                return Refusal(Denied.WAITING, seconds=float(seconds))
            case [b"budget", bytes(level), int(weight)]:
                return Refusal(Denied.BUDGET, float(level), weight)
            case [b"cold"]:
                return Cold()
        raise CacheDown("unreadable answer")

    def _reserved(
        self, tenant: UUID, subject: UUID, kept: bytes, weight: int, family: Family
    ) -> Reservation:
        try:
            return Reserved(_DECODER.decode(kept), weight)
        except msgspec.DecodeError:
            # Of another release: it is read again. Its charge may stay, towards "no".
            self.drop(tenant, subject, family)
            return Cold()

    async def fill(  # noqa: PLR0913 - a row, column by column
        self,
        tenant: UUID,
        subject: UUID,
        *,
        copy: Copy,
        level: float,
        at: datetime,
        consecutive: int,
        failed_at: datetime = _NEVER,
        unlocked_version: int = 0,
        family: Family = Family.CODES,
    ) -> None:
        """Keep a copy that was read from PostgreSQL, unless a newer one was announced."""
        await self._calls.call(
            FILL,
            _key(tenant, subject, family),
            [
                copy.version,
                _ENCODER.encode(copy),
                level,
                at.timestamp(),
                consecutive,
                failed_at.timestamp(),
                unlocked_version,
                _price_list(copy.authenticators),
            ],
        )

    def refund(
        self,
        tenant: UUID,
        subject: UUID,
        *,
        accepted: bool,
        weight: int,
        family: Family = Family.CODES,
    ) -> None:
        """Give the charged guess back; an accepted one also ends the run of failures.

        This and `tell_failed` are best effort: what is lost may only lead to a "no".
        """
        place = _key(tenant, subject, family)
        self._calls.begin(REFUND, place, ["1" if accepted else "0", weight])

    def tell_failed(
        self,
        tenant: UUID,
        subject: UUID,
        *,
        version: int,
        consecutive: int,
        level: float,
        at: datetime,
        family: Family = Family.CODES,
    ) -> None:
        """Note how many failures in a row, and how full a bucket, PostgreSQL has counted.

        `version` is that of the subject when it did, `at` when the last of them was.
        """
        place = _key(tenant, subject, family)
        self._calls.begin(FAILED, place, [version, consecutive, level, at.timestamp()])

    def drop(self, tenant: UUID, subject: UUID, family: Family = Family.CODES) -> None:
        """Forget the authenticators, best effort: the next guess reads them again."""
        self._calls.begin(DROP, _key(tenant, subject, family), ())

    async def tell_changed(self, tenant: UUID, subject: UUID, *, version: int) -> None:
        """Drop what is older than `version`, and let nothing older in again."""
        await asyncio.gather(
            *(self._calls.call(CHANGED, _key(tenant, subject, one), [version]) for one in GUESSED)
        )

    async def tell_unlocked(
        self, tenant: UUID, subject: UUID, *, version: int, level: float
    ) -> None:
        """End runs of failures and waits, and leave buckets as full as `level` at most."""
        await asyncio.gather(
            *(
                self._calls.call(UNLOCK, _key(tenant, subject, one), [version, level])
                for one in GUESSED
            )
        )

    async def charge_coarse(self, bucket: Bucket, *, now: datetime, most: int, back: int) -> int:
        """Give `back` guesses to a bucket of many subjects, then take at most `most` out of it."""
        limit = bucket.limit
        granted = await self._calls.call(
            COARSE,
            f"b:{bucket.key}",
            [now.timestamp(), limit.at_once, limit.per_second, most, back],
        )
        if not isinstance(granted, int):
            raise CacheDown("unreadable answer")
        return granted

    async def drained(self) -> None:
        """Return when Redis has heard all that it was to be told."""
        await self._calls.drained()


async def _refuse_unsafe(server: Redis) -> None:
    try:
        answer = await server.config_get("maxmemory-policy")
    except ResponseError:
        # Forbidden, renamed or unknown: it answers, but does not say.
        raise NotSafeToUse("Redis does not let us read maxmemory-policy (CONFIG)") from None
    except RedisError as error:
        raise CacheDown(type(error).__name__) from None
    policy = answer.get("maxmemory-policy")
    if policy != "noeviction":
        raise NotSafeToUse(f"maxmemory-policy must be noeviction, not {policy}")


def prices(authenticators: Iterable[CachedAuthenticator]) -> Mapping[str, int]:
    """Return what a guess costs by what it is tried on."""
    return prices_of((one.authenticator_id, one.factor, one.digits) for one in authenticators)


def _price_list(authenticators: Iterable[CachedAuthenticator]) -> str:
    # With a blank on both sides of each, so that none is found within another.
    listed = " ".join(f"{on}:{price}" for on, price in prices(authenticators).items())
    return f" {listed} "


def _key(tenant: UUID, subject: UUID, family: Family) -> str:
    return f"w:{{{tenant}/{subject}}}{_SUFFIX[family]}"


def open_redis(url: str, *, timeout: timedelta = timedelta(milliseconds=250)) -> Redis:
    """Return a client whose every call ends within about `timeout`."""
    seconds = timeout.total_seconds()
    redis: Redis = Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        max_connections=64,
        # In RESP3 a server may speak of its own accord.
        protocol=2,
        # No repeats: PostgreSQL answers sooner than a second try would.
        retry=Retry(NoBackoff(), 0),
    )
    return redis


def open_cluster(url: str) -> Cluster:
    """Return a cluster whose every call ends within about the time of `open_redis`."""
    return Cluster(url, connect=open_redis)
