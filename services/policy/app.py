"""The composition root of policy: the only place that builds things."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from contracts.topics import COMPACTED
from contracts.vocabulary import Service
from libs.messaging.kafka import KafkaSettings
from libs.postgres.migrate import migrate
from libs.process import Part
from libs.service.apps import internal_app, public_app
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
from services.policy.api.applications import application_routes
from services.policy.api.imports import import_routes
from services.policy.api.internal import internal_routes
from services.policy.api.logins import login_routes
from services.policy.api.mailboxes import mailbox_routes
from services.policy.api.passkeys import passkey_routes
from services.policy.api.policies import policy_routes
from services.policy.api.proposals import proposal_routes
from services.policy.api.rules import rules_routes
from services.policy.api.settings import settings_routes
from services.policy.api.subjects import subject_routes
from services.policy.api.surveys import survey_routes
from services.policy.api.tenants import tenant_routes
from services.policy.consumer import GROUPS, Events
from services.policy.gateways import Keepers
from services.policy.settings import Settings
from services.policy.use_cases.applications import Applications
from services.policy.use_cases.calendar import Calendar
from services.policy.use_cases.callers import Callers
from services.policy.use_cases.contacts import Contacts
from services.policy.use_cases.housekeeping import Housekeeping
from services.policy.use_cases.importing import Importing
from services.policy.use_cases.imports import Imports
from services.policy.use_cases.keys import Keys
from services.policy.use_cases.logins import Logins
from services.policy.use_cases.mailboxes import SharedMailboxes
from services.policy.use_cases.part_seals import PartSeals
from services.policy.use_cases.passkeys import Passkeys
from services.policy.use_cases.personal import PersonalSeals
from services.policy.use_cases.policies import Policies
from services.policy.use_cases.proposals import Proposals
from services.policy.use_cases.rules import Rules
from services.policy.use_cases.sealed import SEALED
from services.policy.use_cases.settings import TenantSettings
from services.policy.use_cases.subjects import Subjects
from services.policy.use_cases.surveys import Surveys
from services.policy.use_cases.tenants import Tenants
from services.policy.workers import (
    count_logins,
    keep_house,
    watch_calendar,
    work_through_imports,
)

SERVICE = Service.POLICY.value
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Listeners:
    """The app behind the front door, and the one for services and operators."""

    public: FastAPI
    internal: FastAPI


def bring_schema_up_to_date() -> None:
    """Apply the migrations that are missing."""
    settings = read_settings(Settings)
    migrate(settings.owner_dsn.get_secret_value(), schema=SERVICE, folder=_MIGRATIONS)


@asynccontextmanager
async def build() -> AsyncIterator[Roles]:
    """Open everything that a process of policy needs and yield what runs in each role."""
    settings = read_settings(Settings)
    async with open_plumbing(SERVICE, settings) as plumbing:
        health = MessagingHealth()
        listeners = assemble(plumbing, settings, health=health)
        yield standard_roles(
            plumbing,
            settings,
            health,
            internal=listeners.internal,
            public=listeners.public,
            consumer=[
                *consumer_parts(
                    plumbing,
                    settings,
                    health,
                    groups=GROUPS,
                    handlers=Events().handlers(),
                    compacted=COMPACTED,
                ),
                _watching_calendar(plumbing),
                _counting_logins(plumbing, settings),
                *_keeping_directory(plumbing),
                rotation_part(plumbing, SEALED),
            ],
        )


def _watching_calendar(plumbing: Plumbing) -> Part:
    calendar = Calendar(plumbing.app_pool, plumbing.worker_pool, plumbing.clock)

    async def watch(stop: asyncio.Event) -> None:
        await watch_calendar(calendar, stop=stop)

    return watch


def _counting_logins(plumbing: Plumbing, settings: Settings) -> Part:
    kafka = KafkaSettings(bootstrap=settings.kafka_bootstrap, client_id=SERVICE)

    async def count(stop: asyncio.Event) -> None:
        await count_logins(kafka, plumbing.worker_pool, plumbing.clock, stop)

    return count


def directory_of(plumbing: Plumbing) -> Housekeeping:
    """Return what works through imports and keeps the directory in order."""
    importing = Importing(_imports(plumbing), plumbing.worker_pool)
    return Housekeeping(importing, plumbing.worker_pool)


def _keeping_directory(plumbing: Plumbing) -> tuple[Part, Part]:
    housekeeping = directory_of(plumbing)

    async def work(stop: asyncio.Event) -> None:
        await work_through_imports(housekeeping.importing, stop=stop)

    async def keep(stop: asyncio.Event) -> None:
        await keep_house(housekeeping, stop=stop)

    return work, keep


def _imports(plumbing: Plumbing) -> Imports:
    keys = plumbing.data_keys
    return Imports(plumbing.app_pool, PersonalSeals(keys), PartSeals(keys), plumbing.clock)


def assemble(plumbing: Plumbing, settings: Settings, *, health: MessagingHealth) -> Listeners:
    """Put the use cases behind their routes."""
    pool, clock = plumbing.app_pool, plumbing.clock
    keepers = Keepers(
        {
            Service.VERIFICATION: plumbing.client(Service.VERIFICATION, settings.verification_url),
            Service.ENROLLMENT: plumbing.client(Service.ENROLLMENT, settings.enrollment_url),
            Service.RECOVERY: plumbing.client(Service.RECOVERY, settings.recovery_url),
        }
    )
    subjects = Subjects(pool, PersonalSeals(plumbing.data_keys), clock=clock, keepers=keepers)
    mailboxes = SharedMailboxes(pool, clock)
    find = Callers(pool).find
    public = public_app(
        SERVICE,
        title="Watchword: tenants, applications, subjects, policies",
        routers=[
            tenant_routes(Tenants(pool, clock), operator_key_digest=settings.operator_key_digest),
            application_routes(Applications(pool, clock), Keys(pool, clock, keepers), find),
            passkey_routes(Passkeys(pool, clock), find),
            policy_routes(Policies(pool, clock), find),
            rules_routes(Rules(pool, clock), find),
            survey_routes(Surveys(pool, clock), find, clock),
            subject_routes(subjects, find),
            login_routes(Logins(pool, subjects.seals), find),
            import_routes(_imports(plumbing), find),
            settings_routes(TenantSettings(pool, clock), find),
            mailbox_routes(mailboxes, find),
            proposal_routes(Proposals(pool, clock), find, clock),
        ],
    )

    def readings() -> dict[str, float]:
        return health.readings() | {"revocations_pending": keepers.pending}

    routers = [
        health_routes(database_check(plumbing), readings),
        internal_routes(
            subjects,
            Contacts(pool, subjects, clock),
            mailboxes=mailboxes,
            callers=plumbing.callers,
        ),
    ]
    return Listeners(public=public, internal=internal_app(SERVICE, routers=routers))
