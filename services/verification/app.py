"""The composition root of verification: the only place that builds things."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from contracts.callers import find_caller, pushed_applications
from contracts.topics import COMPACTED
from contracts.vocabulary import Service
from libs.postgres.migrate import migrate
from libs.process import Part
from libs.service.apps import internal_app, public_app
from libs.service.loop_lag import LoopLag
from libs.service.main import Roles
from libs.service.parts import (
    MessagingHealth,
    consumer_parts,
    database_check,
    rotation_part,
    standard_roles,
)
from libs.service.plumbing import Plumbing, open_plumbing
from libs.service.settings import read_settings
from libs.web.health import health_routes
from services.verification.api.devices import device_routes
from services.verification.api.door import Door
from services.verification.api.internal import internal_routes
from services.verification.api.public import public_routes
from services.verification.api.receipts import receipt_routes
from services.verification.api.room import Room
from services.verification.api.skips import skip_routes
from services.verification.api.unlocks import unlock_routes
from services.verification.api.verify import fast_lane
from services.verification.authority import AuthorityWatch
from services.verification.cluster_map import is_cluster
from services.verification.coarse import Coarse
from services.verification.consumer import GROUPS, Events
from services.verification.directory import Directory
from services.verification.domain.budget import Budget, refuse_unsafe
from services.verification.domain.coarse import Limit, Limits
from services.verification.domain.coarse import refuse_unsafe as refuse_unsafe_limits
from services.verification.gateways import Owners
from services.verification.lookups import Lookups
from services.verification.reserve import Cache, open_cluster, open_redis
from services.verification.script_calls import CacheDown
from services.verification.settings import Settings
from services.verification.settle import ANSWERS_KEPT, Settler
from services.verification.use_cases.compute import Compute
from services.verification.use_cases.credentials import Credentials
from services.verification.use_cases.decide import Decide
from services.verification.use_cases.devices import Devices
from services.verification.use_cases.guesses import Guesses
from services.verification.use_cases.pins import PinChecks
from services.verification.use_cases.receipts import Receipts
from services.verification.use_cases.refusals import Refusals
from services.verification.use_cases.sealed import sealed_by
from services.verification.use_cases.skips import Skip
from services.verification.use_cases.unlock import Unlock
from services.verification.use_cases.verify import Verify
from services.verification.workers import (
    ClaimWorker,
    announce_refusals,
    forget_answers,
    forget_old_devices,
    forget_old_skips,
    rotate_receipt_keys,
    watch_cache,
)

SERVICE = Service.VERIFICATION.value
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOG = structlog.get_logger("verification")


@dataclass(frozen=True)
class Assembled:
    """The two apps, and what runs beside them."""

    public: ASGIApp
    door: Door
    internal: FastAPI
    settler: Settler
    watch: AuthorityWatch
    lag: LoopLag
    lookups: Lookups
    coarse: Coarse
    refusals: Refusals
    receipts: Receipts
    claims: ClaimWorker
    events: Events


def bring_schema_up_to_date() -> None:
    """Apply the migrations that are missing."""
    settings = read_settings(Settings)
    migrate(settings.owner_dsn.get_secret_value(), schema=SERVICE, folder=_MIGRATIONS)


@asynccontextmanager
async def build() -> AsyncIterator[Roles]:
    """Open everything that a process of verification needs; yield what runs in each role."""
    settings = read_settings(Settings)
    budget = budget_of(settings)
    url = settings.redis_url.get_secret_value()
    redis = open_cluster(url) if is_cluster(url) else open_redis(url)
    cache = Cache(redis, budget)
    await _refuse_forgetful(cache)
    async with open_plumbing(SERVICE, settings) as plumbing, redis, AsyncExitStack() as at_last:
        at_last.push_async_callback(cache.drained)
        health = MessagingHealth()
        parts = assemble(plumbing, settings, cache=cache, health=health)
        consumers = consumer_parts(
            plumbing,
            settings,
            health,
            groups=GROUPS,
            handlers=parts.events.handlers(),
            compacted=COMPACTED,
        )
        yield standard_roles(
            plumbing,
            settings,
            health,
            internal=parts.internal,
            public=parts.public,
            api=[
                parts.settler.run,
                parts.lookups.run,
                parts.watch.run,
                parts.lag.run,
                parts.coarse.run,
                parts.door.room.run,
                _summing_up(parts.refusals),
                _watching(cache),
            ],
            consumer=[
                *consumers,
                parts.claims.run,
                _cleaning(plumbing),
                _rotating(parts.receipts),
                rotation_part(plumbing, sealed_by(plumbing.app_pool, cache)),
            ],
        )


def budget_of(settings: Settings) -> Budget:
    """Return the budget; raises UnsafeBudget where it allows more guessing than is promised."""
    budget = Budget(
        capacity=settings.guesses_at_once,
        per_day=settings.guesses_a_day,
        consecutive=settings.consecutive_failures,
        before_waiting=settings.failures_before_waiting,
    )
    refuse_unsafe(budget)
    return budget


def limits_of(settings: Settings) -> Limits:
    """Return the limits over many subjects; raises UnsafeLimit for what shuts everybody out."""
    limits = Limits(
        tenant=Limit(settings.tenant_guesses_at_once, settings.tenant_guesses_a_day),
        application=Limit(settings.application_guesses_at_once, settings.application_guesses_a_day),
        source=Limit(settings.source_guesses_at_once, settings.source_guesses_a_day),
    )
    refuse_unsafe_limits(limits)
    return limits


def assemble(
    plumbing: Plumbing, settings: Settings, *, cache: Cache, health: MessagingHealth
) -> Assembled:
    """Put the use cases behind their doors."""
    pool, data_keys, clock = plumbing.app_pool, plumbing.data_keys, plumbing.clock
    budget = budget_of(settings)
    narrow = settings.settle_dsn.get_secret_value()
    settler = Settler(
        narrow,
        budget=budget,
        clock_tolerance=settings.clock_tolerance,
        quarantine=settings.quarantine_after_promotion,
    )
    watch = AuthorityWatch(
        narrow,
        clock=clock,
        tolerance=settings.clock_tolerance,
        quarantine=settings.quarantine_after_promotion,
    )
    lag = LoopLag()
    lookups = Lookups(narrow, most=settings.names_in_memory)
    directory = Directory(pool)
    owners = Owners(
        policy=plumbing.client(Service.POLICY, settings.policy_url),
        enrollment=plumbing.client(Service.ENROLLMENT, settings.enrollment_url),
    )
    credentials = Credentials(pool, data_keys, cache, owners, clock)
    claims = ClaimWorker(plumbing.worker_pool, credentials.fulfil)
    refusals = Refusals(pool, clock)
    coarse = Coarse(cache, clock)
    verify = Verify(
        pool=pool,
        lookups=lookups,
        guesses=Guesses(pool=pool, cache=cache, budget=budget),
        compute=Compute(data_keys, PinChecks()),
        settler=settler,
        refusals=refusals,
        data_keys=data_keys,
        clock=clock,
        coarse=coarse,
        limits=limits_of(settings),
    )
    receipts = Receipts(pool=pool, data_keys=data_keys, clock=clock, issuer=settings.receipt_issuer)
    devices = Devices(pool, data_keys, clock, settings.remember_for)
    room = Room(settings.places)
    door = Door(verify, directory, receipts, devices, watch, room)
    find = find_caller(pool)
    decide = Decide(pool, data_keys, devices, watch, clock)
    documented = public_app(
        SERVICE,
        title="Watchword: decisions and verification",
        routers=[
            public_routes(decide=decide, door=door, find=find),
            skip_routes(Skip(decide), find),
            device_routes(devices, find),
            receipt_routes(receipts),
            unlock_routes(Unlock(pool, data_keys, cache, budget, clock), find),
        ],
    )
    internal = internal_app(
        SERVICE,
        routers=[
            health_routes(
                {**database_check(plumbing), "clock": watch.check},
                lambda: {
                    **health.readings(),
                    **watch.readings(),
                    **lag.readings(),
                    **room.readings(),
                },
            ),
            internal_routes(credentials, receipts, plumbing.callers),
            pushed_applications(pool, plumbing.callers, heard=directory.forget),
        ],
    )
    return Assembled(
        public=fast_lane(documented, door),
        door=door,
        internal=internal,
        settler=settler,
        watch=watch,
        lag=lag,
        lookups=lookups,
        coarse=coarse,
        refusals=refusals,
        receipts=receipts,
        claims=claims,
        events=Events(credentials, claims.wake),
    )


async def _refuse_forgetful(cache: Cache) -> None:
    try:
        await cache.refuse_unsafe()
    except CacheDown as error:
        # Codes are judged without Redis, so a start without it must work too.
        _LOG.warning("starting without Redis", exception=str(error))


def _watching(cache: Cache) -> Part:
    async def watch(stop: asyncio.Event) -> None:
        await watch_cache(cache.look_again, stop=stop)

    return watch


def _summing_up(refusals: Refusals) -> Part:
    async def sum_up(stop: asyncio.Event) -> None:
        await announce_refusals(refusals.announce, stop=stop)

    return sum_up


def _cleaning(plumbing: Plumbing) -> Part:
    async def clean(stop: asyncio.Event) -> None:
        pool = plumbing.worker_pool
        async with asyncio.TaskGroup() as all_of_them:
            begin = all_of_them.create_task
            begin(forget_answers(pool, older_than=ANSWERS_KEPT, stop=stop))
            # A repeat must find the device that its first answer made.
            begin(forget_old_devices(pool, kept=2 * ANSWERS_KEPT, stop=stop))
            begin(forget_old_skips(pool, answers=ANSWERS_KEPT, stop=stop))

    return clean


def _rotating(receipts: Receipts) -> Part:
    async def rotate(stop: asyncio.Event) -> None:
        await rotate_receipt_keys(receipts.rotate, stop=stop)

    return rotate
