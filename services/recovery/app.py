"""The composition root of recovery: the only place that builds things."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from contracts.callers import find_caller, pushed_applications
from contracts.topics import COMPACTED
from contracts.vocabulary import Service
from libs.postgres.migrate import migrate
from libs.service.apps import internal_app, public_app
from libs.service.main import Roles
from libs.service.parts import MessagingHealth, consumer_parts, database_check, standard_roles
from libs.service.plumbing import Plumbing, open_plumbing
from libs.service.settings import read_settings
from libs.web.health import health_routes
from services.recovery.api.public import key_routes, recovery_routes
from services.recovery.consumer import GROUPS, Events
from services.recovery.gateways import Owners, Tickets
from services.recovery.settings import Settings
from services.recovery.use_cases.follow import FollowReset
from services.recovery.use_cases.recover import Recover
from services.recovery.use_cases.recovery_keys import RecoveryKeys

SERVICE = Service.RECOVERY.value
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Assembled:
    """The two apps, and what reacts to events."""

    public: FastAPI
    internal: FastAPI
    events: Events


def bring_schema_up_to_date() -> None:
    """Apply the migrations that are missing."""
    settings = read_settings(Settings)
    migrate(settings.owner_dsn.get_secret_value(), schema=SERVICE, folder=_MIGRATIONS)


@asynccontextmanager
async def build() -> AsyncIterator[Roles]:
    """Open everything that a process of recovery needs; yield what runs in each role."""
    settings = read_settings(Settings)
    async with open_plumbing(SERVICE, settings) as plumbing:
        health = MessagingHealth()
        parts = assemble(plumbing, settings, health=health)
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
            consumer=consumers,
        )


def assemble(plumbing: Plumbing, settings: Settings, *, health: MessagingHealth) -> Assembled:
    """Put the use cases behind their doors."""
    pool, clock = plumbing.app_pool, plumbing.clock
    owners = Owners(
        policy=plumbing.client(Service.POLICY, settings.policy_url),
        enrollment=plumbing.client(Service.ENROLLMENT, settings.enrollment_url),
    )
    tickets = Tickets(plumbing.identity.public_keys[Service.ENROLLMENT])
    find = find_caller(pool)
    public = public_app(
        SERVICE,
        title="Watchword: recovery",
        routers=[
            key_routes(RecoveryKeys(pool, clock), tickets=tickets, clock=clock, find=find),
            recovery_routes(Recover(pool, owners, clock), pool=pool, find=find),
        ],
    )
    internal = internal_app(
        SERVICE,
        routers=[
            health_routes(database_check(plumbing), health.readings),
            pushed_applications(pool, plumbing.callers),
        ],
    )
    return Assembled(public, internal, Events(FollowReset(clock)))
