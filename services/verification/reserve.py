"""The cache in Redis: it may refuse and it may hand out sealed credentials, never accept.

One hash a subject, `w:{<tenant>/<subject_ref>}`, so one cluster slot:
v version of the copy, or the lowest that may come · c the authenticators · n how many · s, t level
and time of the failure bucket · f consecutive failures.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from services.verification.domain.budget import Budget

# KEYS[1] subject · ARGV now, capacity, emptied a second, most consecutive failures, weight (0: one
# for each authenticator, because each of them is tried).
_RESERVE = """
local kept = redis.call('HMGET', KEYS[1], 'c', 's', 't', 'f', 'n')
if not kept[1] or not kept[5] then return {'cold'} end
if tonumber(kept[4]) >= tonumber(ARGV[4]) then return {'locked'} end
local now = tonumber(ARGV[1])
local passed = math.max(0, now - tonumber(kept[3]))
local level = math.max(0, tonumber(kept[2]) - passed * tonumber(ARGV[3]))
local weight = tonumber(ARGV[5])
if weight == 0 then weight = tonumber(kept[5]) end
if level + weight > tonumber(ARGV[2]) then return {'budget', tostring(level)} end
local at = math.max(now, tonumber(kept[3]))
redis.call('HSET', KEYS[1], 's', tostring(level + weight), 't', string.format('%.6f', at))
return {'ok', kept[1]}
"""

# KEYS[1] subject · ARGV version, authenticators, level, its time, consecutive, emptied a second,
# how many authenticators.
# A copy that is older than what was announced is not taken; of two bucket levels the fuller stays.
_FILL = """
local kept = redis.call('HMGET', KEYS[1], 'v', 's', 't', 'f')
if kept[1] and tonumber(kept[1]) > tonumber(ARGV[1]) then return 0 end
local level, at = tonumber(ARGV[3]), tonumber(ARGV[4])
if kept[2] then
  local other, later = tonumber(kept[2]), math.max(at, tonumber(kept[3]))
  local rate = tonumber(ARGV[6])
  level = math.max(0, level - (later - at) * rate)
  other = math.max(0, other - (later - tonumber(kept[3])) * rate)
  level, at = math.max(level, other), later
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'c', ARGV[2], 's', tostring(level),
  't', string.format('%.6f', at), 'f', ARGV[5], 'n', ARGV[7])
return 1
"""

# KEYS[1] subject · ARGV 1 where the run of failures ended, weight. Gives the charged guess back,
# also where the copy has been dropped since: the bucket outlives it.
_REFUND = """
local kept = redis.call('HGET', KEYS[1], 's')
if not kept then return 0 end
local level = math.max(0, tonumber(kept) - tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 's', tostring(level))
if ARGV[1] == '1' then redis.call('HSET', KEYS[1], 'f', '0') end
return 1
"""

# KEYS[1] subject · ARGV consecutive failures and level of the bucket, as PostgreSQL counted them:
# what it counted while Redis was away must not be guessed again.
_FAILED = """
local kept = redis.call('HGET', KEYS[1], 's')
if not kept then return 0 end
local level = math.max(tonumber(kept), tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'f', ARGV[1], 's', tostring(level))
return 1
"""

# KEYS[1] subject · ARGV lowest version that may be kept from now on.
_CHANGED = """
local kept = redis.call('HGET', KEYS[1], 'v')
if not kept or tonumber(kept) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'v', ARGV[1])
  redis.call('HDEL', KEYS[1], 'c')
end
return 1
"""


class CacheDown(Exception):  # noqa: N818
    """Redis did not answer in time; PostgreSQL takes its place."""


class Denied(Enum):
    """Why the cache refused without a look at the code."""

    BUDGET = "budget"
    LOCKED = "locked"


@dataclass(frozen=True)
class Cold:
    """The cache knows nothing of this subject."""


@dataclass(frozen=True)
class Refusal:
    """No guess is left; `level` is how full the bucket is (0 where it is not the reason)."""

    why: Denied
    level: float


class CachedAuthenticator(msgspec.Struct, frozen=True, array_like=True):
    """An authenticator as the cache keeps it: the secret stays sealed."""

    authenticator_id: UUID
    factor: str
    epoch: int
    sealed: bytes
    algorithm: str
    digits: int
    period: int


@dataclass(frozen=True)
class Reserved:
    """One guess is charged; these authenticators may judge it."""

    authenticators: tuple[CachedAuthenticator, ...]


Reservation = Reserved | Refusal | Cold

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[CachedAuthenticator, ...])


class NotSafeToUse(Exception):  # noqa: N818
    """Redis is set up so that it may forget budgets on its own."""


class Cache:
    """The reserve step and what keeps it fresh; every call may raise CacheDown."""

    def __init__(self, redis: Redis, budget: Budget) -> None:
        self._redis = redis
        self._budget = budget
        self._reserve = redis.register_script(_RESERVE)
        self._fill = redis.register_script(_FILL)
        self._refund = redis.register_script(_REFUND)
        self._failed = redis.register_script(_FAILED)
        self._changed = redis.register_script(_CHANGED)

    async def refuse_unsafe(self) -> None:
        """Raise NotSafeToUse where Redis would evict keys when it is full."""
        try:
            answer = await self._redis.config_get("maxmemory-policy")
        except ResponseError:
            # Forbidden, renamed or unknown: it answers, but does not say.
            raise NotSafeToUse("Redis does not let us read maxmemory-policy (CONFIG)") from None
        except RedisError as error:
            raise CacheDown(type(error).__name__) from None
        policy = answer.get("maxmemory-policy")
        if policy != "noeviction":
            raise NotSafeToUse(f"maxmemory-policy must be noeviction, not {policy}")

    async def reserve(
        self, tenant: UUID, subject: UUID, *, now: datetime, named: bool
    ) -> Reservation:
        """Charge one guess and return what may judge it, all or nothing.

        A guess costs one for each authenticator that it is tried on; `named` ones are tried alone.
        """
        answer = await self._call(
            self._reserve,
            tenant,
            subject,
            [
                now.timestamp(),
                self._budget.capacity,
                self._budget.per_second,
                self._budget.consecutive,
                1 if named else 0,
            ],
        )
        match answer:
            case [b"ok", bytes(kept)]:
                return Reserved(_DECODER.decode(kept))
            case [b"locked"]:
                return Refusal(Denied.LOCKED, 0.0)
            case [b"budget", bytes(level)]:
                return Refusal(Denied.BUDGET, float(level))
            case [b"cold"]:
                return Cold()
        raise CacheDown("unreadable answer")

    async def fill(
        self,
        tenant: UUID,
        subject: UUID,
        *,
        version: int,
        authenticators: tuple[CachedAuthenticator, ...],
        level: float,
        at: datetime,
        consecutive: int,
    ) -> None:
        """Keep a copy that was read from PostgreSQL, unless a newer one was announced."""
        await self._call(
            self._fill,
            tenant,
            subject,
            [
                version,
                _ENCODER.encode(authenticators),
                level,
                at.timestamp(),
                consecutive,
                self._budget.per_second,
                max(1, len(authenticators)),
            ],
        )

    async def refund(self, tenant: UUID, subject: UUID, *, accepted: bool, weight: int) -> None:
        """Give the charged guess back; an accepted one also ends the run of failures."""
        await self._call(self._refund, tenant, subject, ["1" if accepted else "0", weight])

    async def tell_failed(
        self, tenant: UUID, subject: UUID, *, consecutive: int, level: float
    ) -> None:
        """Note how many failures in a row, and how full a bucket, PostgreSQL has counted."""
        await self._call(self._failed, tenant, subject, [consecutive, level])

    async def tell_changed(self, tenant: UUID, subject: UUID, *, version: int) -> None:
        """Drop what is older than `version`, and let nothing older in again."""
        await self._call(self._changed, tenant, subject, [version])

    async def _call(
        self, script: object, tenant: UUID, subject: UUID, arguments: list[object]
    ) -> object:
        try:
            return await script(keys=[f"w:{{{tenant}/{subject}}}"], args=arguments)  # type: ignore[operator]
        except RedisError as error:
            raise CacheDown(type(error).__name__) from None


def open_redis(url: str, *, timeout: timedelta = timedelta(milliseconds=250)) -> Redis:
    """Return a client whose every call ends within about `timeout`."""
    seconds = timeout.total_seconds()
    redis: Redis = Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        max_connections=64,
        # No repeats: PostgreSQL answers sooner than a second try would.
        retry=Retry(NoBackoff(), 0),
    )
    return redis
