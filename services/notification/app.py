"""The composition root of notification: the only place that builds things."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from contracts.topics import COMPACTED
from contracts.vocabulary import Service
from libs.postgres.migrate import migrate
from libs.process import Part
from libs.service.main import Roles
from libs.service.parts import MessagingHealth, consumer_parts, database_check, standard_roles
from libs.service.plumbing import Plumbing, open_plumbing
from libs.service.settings import read_settings
from services.notification.api import internal_listener
from services.notification.consumer import GROUPS, Events
from services.notification.gateways import Codes, Contacts
from services.notification.senders.composing import Composer
from services.notification.senders.email import EmailSender, MailServer
from services.notification.senders.outgoing import Outgoing
from services.notification.senders.twilio import Account, TwilioSender
from services.notification.settings import Settings
from services.notification.use_cases.deliver import Deliver
from services.notification.use_cases.request import RequestMessage
from services.notification.workers import MessageWorker, forget_messages

SERVICE = Service.NOTIFICATION.value
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Assembled:
    """The listener, what reacts to events, what delivers, and what forgets."""

    internal: FastAPI
    events: Events
    worker: MessageWorker
    deliver: Deliver
    forget: Part


def bring_schema_up_to_date() -> None:
    """Apply the migrations that are missing."""
    settings = read_settings(Settings)
    migrate(settings.owner_dsn.get_secret_value(), schema=SERVICE, folder=_MIGRATIONS)


@asynccontextmanager
async def build() -> AsyncIterator[Roles]:
    """Open everything that a process of notification needs; yield what runs in each role."""
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
        # Nobody asks notification anything from outside yet.
        yield standard_roles(
            plumbing,
            settings,
            health,
            internal=parts.internal,
            public=None,
            consumer=[*consumers, parts.worker.run, parts.forget],
        )


def assemble(plumbing: Plumbing, settings: Settings, *, health: MessagingHealth) -> Assembled:
    """Put the use cases behind their doors."""
    composer = Composer(settings.mail_from)
    deliver = Deliver(
        pool=plumbing.app_pool,
        contacts=Contacts(plumbing.client(Service.POLICY, settings.policy_url)),
        codes=Codes(plumbing.client(Service.ENROLLMENT, settings.enrollment_url)),
        outgoing=Outgoing(
            composer,
            EmailSender(_mail_server(settings, own_name=composer.domain)),
            _phone(plumbing, settings),
        ),
        clock=plumbing.clock,
    )
    worker = MessageWorker(plumbing.worker_pool, deliver, at_once=settings.messages_at_once)
    internal = internal_listener(
        SERVICE,
        database_check(plumbing),
        lambda: {**health.readings(), **worker.backlog.readings()},
    )
    events = Events(RequestMessage(plumbing.clock), worker.wake)
    forget = _forgetting(plumbing, kept=settings.messages_kept)
    return Assembled(internal, events, worker, deliver, forget)


def _forgetting(plumbing: Plumbing, *, kept: timedelta) -> Part:

    async def forget(stop: asyncio.Event) -> None:
        pool, clock = plumbing.worker_pool, plumbing.clock
        await forget_messages(pool, kept=kept, clock=clock, stop=stop)

    return forget


def _phone(plumbing: Plumbing, settings: Settings) -> TwilioSender | None:
    sid, token, sender = (
        settings.twilio_account_sid,
        settings.twilio_auth_token,
        settings.twilio_from,
    )
    if sid is None or token is None or sender is None:
        return None
    account = Account(settings.twilio_url, sid, token, sender, settings.twilio_patience)
    return TwilioSender(account, plumbing.http)


def _mail_server(settings: Settings, *, own_name: str) -> MailServer:
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        ca_file=settings.smtp_ca_file,
        user=settings.smtp_user,
        password=settings.smtp_password,
        own_name=own_name,
        patience=settings.smtp_patience,
        verdict_limit=settings.smtp_verdict_limit,
    )
