"""The composition root of policy: the only place that builds things."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from fastapi import FastAPI

from contracts.vocabulary import Service
from libs.messaging.kafka import KafkaSettings, Producer
from libs.messaging.relay import RelayHealth, run_relay
from libs.postgres.migrate import migrate
from libs.process import Part
from libs.service.apps import internal_app, public_app
from libs.service.main import Roles
from libs.service.plumbing import Plumbing, open_plumbing
from libs.service.settings import refuse_unknown_variables
from libs.web.health import Check, health_routes
from libs.web.server import http_part
from services.policy.api.applications import application_routes
from services.policy.api.internal import internal_routes
from services.policy.api.policies import policy_routes
from services.policy.api.subjects import subject_routes
from services.policy.api.tenants import tenant_routes
from services.policy.gateways import Verification
from services.policy.settings import Settings
from services.policy.use_cases.applications import Applications
from services.policy.use_cases.callers import Callers
from services.policy.use_cases.personal import PersonalSeals
from services.policy.use_cases.policies import Policies
from services.policy.use_cases.subjects import Subjects
from services.policy.use_cases.tenants import Tenants

SERVICE = Service.POLICY.value
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Listeners:
    """The app behind the front door, and the one for services and operators."""

    public: FastAPI
    internal: FastAPI


def bring_schema_up_to_date() -> None:
    """Apply the migrations that are missing."""
    settings = _settings()
    migrate(settings.owner_dsn.get_secret_value(), schema=SERVICE, folder=_MIGRATIONS)


@asynccontextmanager
async def build() -> AsyncIterator[Roles]:
    """Open everything that a process of policy needs and yield what runs in each role."""
    settings = _settings()
    async with open_plumbing(SERVICE, settings) as plumbing:
        health = RelayHealth()
        listeners = assemble(plumbing, settings, relay=health)
        internal = http_part(
            listeners.internal, host=settings.internal_host, port=settings.internal_port
        )
        public = http_part(listeners.public, host=settings.host, port=settings.port)
        relay = _relay_part(plumbing, settings, health=health)
        yield {"every": [internal], "api": [public], "relay": [relay]}


def assemble(plumbing: Plumbing, settings: Settings, *, relay: RelayHealth) -> Listeners:
    """Put the use cases behind their routes."""
    pool, clock = plumbing.app_pool, plumbing.clock
    verification = Verification(plumbing.client(Service.VERIFICATION, settings.verification_url))
    subjects = Subjects(pool, PersonalSeals(plumbing.data_keys), clock=clock)
    find = Callers(pool).find
    public = public_app(
        SERVICE,
        title="Watchword: tenants, applications, subjects, policies",
        routers=[
            tenant_routes(Tenants(pool, clock), operator_key_digest=settings.operator_key_digest),
            application_routes(Applications(pool, clock, verification=verification), find),
            policy_routes(Policies(pool, clock), find),
            subject_routes(subjects, find),
        ],
    )
    health = health_routes(_checks(plumbing), lambda: _readings(relay, verification))
    routers = [health, internal_routes(subjects, callers=plumbing.callers)]
    return Listeners(public=public, internal=internal_app(SERVICE, routers=routers))


def _settings() -> Settings:
    refuse_unknown_variables(Settings)
    return Settings()


def _checks(plumbing: Plumbing) -> Mapping[str, Check]:
    async def database() -> str | None:
        try:
            await plumbing.app_pool.fetchval("SELECT 1", timeout=2)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            return type(error).__name__
        return None

    # Kafka is no condition: what is to be announced waits in the outbox.
    return {"database": database}


def _readings(relay: RelayHealth, verification: Verification) -> Mapping[str, float]:
    return {
        "relay_active": relay.active,
        "relay_backlog": relay.backlog,
        "relay_oldest_seconds": relay.oldest_age.total_seconds(),
        "relay_sent": relay.sent,
        "relay_failures": relay.failures,
        "revocations_pending": verification.pending,
    }


def _relay_part(plumbing: Plumbing, settings: Settings, *, health: RelayHealth) -> Part:
    kafka = KafkaSettings(bootstrap=settings.kafka_bootstrap, client_id=SERVICE)

    async def relay(stop: asyncio.Event) -> None:
        producer = Producer(kafka)
        try:
            await run_relay(
                plumbing.worker_pool, producer, service=SERVICE, stop=stop, health=health
            )
        finally:
            await producer.close()

    return relay
