"""The composition root of enrollment: the only place that builds things."""

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
from services.enrollment.api.authenticators import authenticator_routes
from services.enrollment.api.enrollments import enrollment_routes
from services.enrollment.api.hardware_tokens import hardware_token_routes
from services.enrollment.api.imports import import_routes
from services.enrollment.api.internal import internal_routes
from services.enrollment.consumer import GROUPS, Events
from services.enrollment.gateways import Policy, Verification
from services.enrollment.settings import Settings
from services.enrollment.use_cases.authenticators import Authenticators
from services.enrollment.use_cases.beginning import Beginning, SlowWork
from services.enrollment.use_cases.confirm import Confirm
from services.enrollment.use_cases.credentials import Credentials
from services.enrollment.use_cases.disable import Disable
from services.enrollment.use_cases.enroll import Enroll
from services.enrollment.use_cases.handovers import Handovers
from services.enrollment.use_cases.hardware_tokens import HardwareTokens
from services.enrollment.use_cases.housekeeping import Housekeeping
from services.enrollment.use_cases.importing import Importing
from services.enrollment.use_cases.imports import Imports
from services.enrollment.use_cases.messages import Messages
from services.enrollment.use_cases.opening import Opening
from services.enrollment.use_cases.passkeys import Passkeys
from services.enrollment.use_cases.people import People
from services.enrollment.use_cases.presences import Presences
from services.enrollment.use_cases.remove import Remove
from services.enrollment.use_cases.resend import Resend
from services.enrollment.use_cases.sealed import SEALED
from services.enrollment.use_cases.seals import Sealing
from services.enrollment.use_cases.sent_codes import SentCodes
from services.enrollment.use_cases.stock import Stock
from services.enrollment.use_cases.tickets import Tickets
from services.enrollment.use_cases.token_seals import TokenSeals
from services.enrollment.workers import Backlog, ImportWorkers, Workers

SERVICE = Service.ENROLLMENT.value
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class UseCases:
    """All that enrollment does."""

    enroll: Enroll
    confirm: Confirm
    handovers: Handovers
    opening: Opening
    resend: Resend
    messages: Messages
    authenticators: Authenticators
    remove: Remove
    disable: Disable
    credentials: Credentials
    importing: Importing
    tokens: HardwareTokens


@dataclass(frozen=True)
class Assembled:
    """The two apps, and what runs beside them."""

    public: FastAPI
    internal: FastAPI
    events: Events
    workers: Workers
    imports: ImportWorkers


def bring_schema_up_to_date() -> None:
    """Apply the migrations that are missing."""
    settings = read_settings(Settings)
    migrate(settings.owner_dsn.get_secret_value(), schema=SERVICE, folder=_MIGRATIONS)


@asynccontextmanager
async def build() -> AsyncIterator[Roles]:
    """Open everything that a process of enrollment needs; yield what runs in each role."""
    settings = read_settings(Settings)
    async with open_plumbing(SERVICE, settings) as plumbing:
        health = MessagingHealth()
        parts = assemble(
            plumbing,
            policy_url=settings.policy_url,
            verification_url=settings.verification_url,
            health=health,
        )
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
            api=[parts.workers.keep_keys],
            consumer=[
                *(*consumers, parts.workers.retry_revocations, parts.workers.forget),
                *(parts.imports.work, parts.imports.keep_house),
                rotation_part(plumbing, SEALED),
            ],
        )


def assemble(
    plumbing: Plumbing, *, policy_url: str, verification_url: str, health: MessagingHealth
) -> Assembled:
    """Put the use cases behind their doors."""
    cases = _use_cases(plumbing, policy_url=policy_url, verification_url=verification_url)
    backlog = Backlog()

    def readings() -> dict[str, float]:
        return health.readings() | {"revocations_pending": backlog.revocations}

    workers = Workers(plumbing.worker_pool, cases.remove, backlog, plumbing.clock)
    internal = internal_app(
        SERVICE,
        routers=[
            health_routes(database_check(plumbing), readings),
            internal_routes(cases.credentials, cases.messages, cases.remove, plumbing.callers),
            pushed_applications(plumbing.app_pool, plumbing.callers),
        ],
    )
    imports = ImportWorkers(Housekeeping(cases.importing, plumbing.worker_pool))
    return Assembled(_public(plumbing, cases), internal, Events(cases.remove), workers, imports)


def _use_cases(plumbing: Plumbing, *, policy_url: str, verification_url: str) -> UseCases:
    pool, clock = plumbing.app_pool, plumbing.clock
    verification = Verification(plumbing.client(Service.VERIFICATION, verification_url), clock)
    policy = Policy(plumbing.client(Service.POLICY, policy_url))
    people = People(pool, policy, clock)
    sealing, slow, tickets = Sealing(plumbing.data_keys), SlowWork(), Tickets(plumbing.identity)
    presences = Presences(verification, tickets, clock)
    remove = Remove(pool, plumbing.worker_pool, verification, presences, clock)
    codes = SentCodes(sealing, clock)
    imports = Imports(pool, TokenSeals(plumbing.data_keys), clock)
    beginning = Beginning(slow, Passkeys(pool, sealing), Stock(pool, imports.seals))
    opening = Opening(pool, people, codes)
    return UseCases(
        enroll=Enroll(pool, people, presences, opening, sealing, beginning, clock),
        confirm=Confirm(pool, sealing, tickets, remove, codes, imports.seals, slow, clock),
        opening=opening,
        resend=Resend(pool, people, codes),
        messages=Messages(pool, sealing, clock),
        handovers=Handovers(pool, people, sealing, clock),
        authenticators=Authenticators(pool, people, sealing),
        remove=remove,
        disable=Disable(pool, people, presences, remove, clock),
        credentials=Credentials(pool, sealing),
        importing=Importing(imports, policy, plumbing.worker_pool),
        tokens=HardwareTokens(pool),
    )


def _public(plumbing: Plumbing, cases: UseCases) -> FastAPI:
    find = find_caller(plumbing.app_pool)
    return public_app(
        SERVICE,
        title="Watchword: enrollment",
        routers=[
            enrollment_routes(
                cases.enroll,
                cases.confirm,
                cases.handovers,
                cases.opening,
                cases.resend,
                find=find,
                clock=plumbing.clock,
            ),
            authenticator_routes(cases.authenticators, cases.remove, cases.disable, find=find),
            import_routes(cases.importing.imports, find),
            hardware_token_routes(cases.tokens, find),
        ],
    )
