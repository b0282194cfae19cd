"""Notification in this process, on real PostgreSQL, with a simulated policy and mail server."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
from fastapi import FastAPI
from pydantic import SecretStr

from contracts.enrollment import ENROLLED, Enrolled
from contracts.envelope import about_person
from contracts.internal import (
    ACKNOWLEDGE_CONTACT,
    CLAIM_CONTACT,
    AcknowledgeContact,
    ClaimContact,
    ClaimedContact,
    Done,
    letter_place,
)
from contracts.recovery import RESET_COMPLETED, ResetCompleted
from contracts.vocabulary import Factor, Language
from libs.messaging.cloud_event import CloudEvent
from libs.postgres.pool import tenant_transaction
from libs.sealing.letter import write_letter
from libs.service.parts import MessagingHealth
from libs.service.plumbing import Plumbing
from libs.web.problems import Problem, answer_with_problems
from services.notification.app import Assembled, assemble
from services.notification.settings import Settings
from services.notification.store import messages
from tests.fixtures.services import ServiceDatabase, TestClock, plumbing_for
from tests.integration.notification.smtp_simulator import SmtpSimulator

PATIENCE_SECONDS = 20


@dataclass
class PolicySimulator:
    """What policy would answer."""

    contacts: dict[UUID, Mapping[str, object]] = field(default_factory=dict)
    claims: list[ClaimContact] = field(default_factory=list)
    acknowledged: list[AcknowledgeContact] = field(default_factory=list)
    status: int = 200
    acknowledges: bool = True

    def app(self) -> FastAPI:
        """Return policy as an app."""
        app = FastAPI()
        answer_with_problems(app)

        @app.post(CLAIM_CONTACT.path)
        async def claim(body: ClaimContact) -> ClaimedContact:
            self.claims.append(body)
            if self.status != 200:
                raise Problem(self.status, "unavailable", "Down")
            if body.subject_ref not in self.contacts:
                raise Problem(404, "not_found", "There is no such subject")
            place = letter_place(CLAIM_CONTACT, body.tenant, body.subject_ref, body.attempt_id)
            content = dict(self.contacts[body.subject_ref])
            return ClaimedContact(letter=write_letter(body.public_key, content, place=place))

        @app.post(ACKNOWLEDGE_CONTACT.path)
        async def acknowledge(body: AcknowledgeContact) -> Done:
            if not self.acknowledges:
                raise Problem(503, "unavailable", "Down")
            self.acknowledged.append(body)
            return Done(effective=True)

        return app


@dataclass(frozen=True)
class Person:
    """Somebody who is to be told something."""

    tenant: UUID
    subject_ref: UUID
    email: str | None


@dataclass
class World:
    """One running notification and what surrounds it."""

    stored: ServiceDatabase
    plumbing: Plumbing
    parts: Assembled
    policy: PolicySimulator
    smtp: SmtpSimulator
    clock: TestClock
    settings: Settings

    def person(self, *, email: str | None = "", language: Language = Language.ENGLISH) -> Person:
        """Make somebody; an empty address becomes a random one."""
        address = f"{uuid4().hex}@example.org" if email == "" else email
        person = Person(uuid4(), uuid4(), address)
        self.policy.contacts[person.subject_ref] = {"email": address, "language": language}
        return person

    def enrolled(
        self, person: Person, *, ago: timedelta = timedelta(0), traceparent: str | None = None
    ) -> CloudEvent:
        """Make the event that an authenticator was added."""
        data = Enrolled(
            authenticator_id=uuid4(),
            enrollment_id=uuid4(),
            application_id=uuid4(),
            factor=Factor.TOTP,
            epoch=1,
        )
        event = about_person(
            ENROLLED,
            data,
            tenant=person.tenant,
            subject_ref=person.subject_ref,
            now=self.clock() - ago,
        )
        return msgspec.structs.replace(event, traceparent=traceparent)

    def reset_completed(self, person: Person) -> CloudEvent:
        """Make the event that all authenticators went."""
        return about_person(
            RESET_COMPLETED,
            ResetCompleted(reset_id=uuid4(), removed=1),
            tenant=person.tenant,
            subject_ref=person.subject_ref,
            now=self.clock(),
        )

    async def hear(self, event: CloudEvent) -> None:
        """Handle an event as the consumer does."""
        handler = self.parts.events.handlers()[event.type]
        async with tenant_transaction(self.plumbing.app_pool, event.tenant) as tx:
            await handler(tx, event)

    async def deliver_due(self) -> int:
        """Take what is due and do one try of each; return how many there were."""
        taken = await messages.take_due(self.plumbing.worker_pool, most=50)
        await asyncio.gather(*(self.parts.deliver(message) for message in taken))
        return len(taken)

    async def make_due(self) -> None:
        """Let the time pass that messages wait for, or are being sent for."""
        await self.rows("UPDATE message SET due = now() WHERE status IN ('pending', 'sending')")

    async def try_again(self, *, times: int = 3) -> None:
        """Let time pass and everything be tried that still may be."""
        for _ in range(times):
            await self.make_due()
            await self.deliver_due()
            await self.bury_lapsed()

    async def bury_lapsed(self) -> None:
        """Find messages whose sender died, as the worker does."""
        for message in await messages.lapsed(self.plumbing.worker_pool, most=50):
            await self.parts.deliver.nobody_knows(message)

    async def message(self, person: Person) -> dict[str, object]:
        """Return the only message to a person, as it is stored."""
        rows = await self.rows("SELECT * FROM message WHERE subject_ref = $1", person.subject_ref)
        assert len(rows) == 1
        return rows[0]

    async def state(self, person: Person) -> tuple[object, object]:
        """Return status and reason of the only message to a person."""
        message = await self.message(person)
        return message["status"], message["reason"]

    async def events(self, person: Person) -> list[str]:
        """Return the types of the events about a person, in their order."""
        rows = await self.rows(
            "SELECT type FROM outbox WHERE aggregateid = $1 ORDER BY sequence",
            f"{person.tenant}/{person.subject_ref}",
        )
        return [str(row["type"]) for row in rows]

    async def rows(self, query: str, *arguments: object) -> list[dict[str, object]]:
        """Look at the tables from behind the wall."""
        connection = await self.stored.superuser()
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()


@asynccontextmanager
async def running_world(
    stored: ServiceDatabase,
    smtp: SmtpSimulator,
    policy: PolicySimulator,
    clock: TestClock,
    settings: Settings,
    *,
    inside: Mapping[str, FastAPI] | None = None,
) -> AsyncIterator[World]:
    """Run notification on a database; a second one on the same database is a second process."""
    inside = inside or {"policy": policy.app()}
    async with plumbing_for(stored, clock=clock, inside=inside) as plumbing:
        parts = assemble(plumbing, settings, health=MessagingHealth())
        yield World(stored, plumbing, parts, policy, smtp, clock, settings)


def settings_for(stored: ServiceDatabase, smtp: SmtpSimulator, **changes: object) -> Settings:
    """Return settings that lead to a test's servers."""
    values: dict[str, object] = {
        "app_dsn": SecretStr(stored.dsn("notification_app")),
        "worker_dsn": SecretStr(stored.dsn("notification_worker")),
        "owner_dsn": SecretStr(stored.dsn("notification_owner")),
        "kafka_bootstrap": "127.0.0.1:9",
        "key_file": Path("unused"),
        "identity_key_file": Path("unused"),
        "identity_public_keys_file": Path("unused"),
        "port": 1,
        "internal_port": 1,
        "policy_url": "http://policy",
        "enrollment_url": "http://enrollment",
        "smtp_host": "127.0.0.1",
        "smtp_port": smtp.port,
        "smtp_tls": "none",
        "mail_from": "Watchword <watchword@example.org>",
        "smtp_patience": timedelta(seconds=10),
        "smtp_verdict_limit": timedelta(seconds=10),
    }
    return Settings.model_validate(values | changes)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds, for a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
