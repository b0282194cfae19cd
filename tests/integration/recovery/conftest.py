"""Recovery in this process, on real PostgreSQL, with policy and enrollment simulated beside it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from joserfc import jwt
from pydantic import BaseModel, SecretStr

from contracts.envelope import EventType, about_person, application_key
from contracts.internal import (
    APPLY_RESET,
    RESOLVE_SUBJECT,
    ApplyReset,
    Done,
    ResolvedSubject,
    ResolveSubject,
)
from contracts.policy import ApplicationKey, ApplicationState, PolicyState
from contracts.rules import Rule
from contracts.topics import APPLICATIONS, POLICIES
from contracts.vocabulary import Factor, KeyMode, Language, Requirement, Scope
from libs.ids import new_id
from libs.messaging.copies import save_copy
from libs.postgres.pool import tenant_transaction
from libs.service.parts import MessagingHealth
from libs.service.plumbing import Plumbing
from libs.web.api_keys import new_api_key
from libs.web.problems import Problem, answer_with_problems
from services.recovery.app import Assembled, assemble
from services.recovery.settings import Settings
from tests.fixtures.services import (
    IDENTITY_KEYS,
    MakeDatabase,
    ServiceDatabase,
    TestClock,
    plumbing_for,
)

Data = TypeVar("Data", bound=BaseModel)


@dataclass
class Owners:
    """What policy and enrollment would answer."""

    subjects: dict[str, UUID] = field(default_factory=dict)
    resets: list[UUID] = field(default_factory=list)
    groups: dict[UUID, tuple[str, ...]] = field(default_factory=dict)
    policy_down: bool = False
    enrollment_down: bool = False

    def app(self) -> FastAPI:
        """Return both owners as one app."""
        app = FastAPI()
        answer_with_problems(app)

        @app.post(RESOLVE_SUBJECT.path)
        async def resolve(body: ResolveSubject) -> ResolvedSubject:
            if self.policy_down:
                raise Problem(503, "unavailable", "Down")
            if body.subject not in self.subjects:
                raise Problem(404, "not_found", "Unknown")
            about = self.subjects[body.subject]
            return ResolvedSubject(
                subject_ref=about,
                language=Language.ENGLISH,
                letter="x",
                user_type=None,
                groups=self.groups.get(about, ()),
            )

        @app.post(APPLY_RESET.path)
        async def apply_reset(body: ApplyReset) -> Done:
            if self.enrollment_down:
                raise Problem(503, "unavailable", "Down")
            self.resets.append(body.reset_id)
            return Done(effective=True)

        return app


@dataclass
class World:
    """One running recovery and what surrounds it."""

    stored: ServiceDatabase
    plumbing: Plumbing
    parts: Assembled
    owners: Owners
    clock: TestClock
    http: httpx2.AsyncClient

    async def application(
        self,
        tenant: UUID,
        scopes: tuple[Scope, ...] = (Scope.ENROLL,),
        *,
        rules: tuple[Rule, ...] | None = (),
    ) -> str:
        """Make an application as policy's events would; returns its key. None: no policy yet."""
        application_id = new_id()
        key = new_api_key(mode="test", application_id=application_id)
        state = ApplicationState(
            application_id=application_id,
            version=1,
            deleted=False,
            name="Test",
            keys=(
                ApplicationKey(
                    key_id=new_id(),
                    digest=key.digest,
                    scopes=scopes,
                    mode=KeyMode.TEST,
                    revoked=False,
                ),
            ),
        )
        async with tenant_transaction(self.plumbing.app_pool, tenant) as tx:
            await save_copy(
                tx,
                tenant=tenant,
                topic=APPLICATIONS.name,
                key=application_key(tenant, application_id),
                state=state.model_dump(mode="json"),
            )
            if rules is not None:
                policy = PolicyState(
                    application_id=application_id,
                    version=1,
                    deleted=False,
                    requirement=Requirement.REQUIRED,
                    factors=(Factor.TOTP,),
                    rules=rules,
                )
                await save_copy(
                    tx,
                    tenant=tenant,
                    topic=POLICIES.name,
                    key=application_key(tenant, application_id),
                    state=policy.model_dump(mode="json"),
                )
        return key.text

    def person(self) -> tuple[str, UUID]:
        """Make somebody whom policy knows."""
        name, subject = f"{uuid4().hex}@example.org", uuid4()
        self.owners.subjects[name] = subject
        return name, subject

    def ticket(
        self, tenant: UUID, subject: UUID, changed: Mapping[str, object] | None = None
    ) -> str:
        """Return a ticket as enrollment signs it."""
        now = self.clock()
        claims: dict[str, object] = {
            "iss": "enrollment",
            "aud": "recovery-ticket",
            "sub": str(subject),
            "tenant": str(tenant),
            "authenticator": str(uuid4()),
            "jti": uuid4().hex,
            "iat": now.timestamp(),
            "exp": int((now + timedelta(hours=1)).timestamp()),
        }
        claims |= changed or {}
        claims = {name: value for name, value in claims.items() if value is not None}
        signer = IDENTITY_KEYS[str(claims.pop("signer", "enrollment"))]
        return jwt.encode({"alg": "Ed25519"}, claims, signer, algorithms=["Ed25519"])

    async def post(self, key: str, path: str, body: Mapping[str, object]) -> httpx2.Response:
        """Ask as the application would."""
        return await self.http.post(path, json=body, headers={"Authorization": f"Bearer {key}"})

    async def new_key(self, key: str, tenant: UUID, subject: UUID) -> dict[str, object]:
        """Issue a recovery key and acknowledge it."""
        body: dict[str, object] = {"ticket": self.ticket(tenant, subject)}
        issued: dict[str, object] = (await self.post(key, "/v1/recovery-keys", body)).json()
        path = f"/v1/recovery-keys/{issued['recovery_key_id']}/acknowledgement"
        answer = await self.post(key, path, {"generation": issued["generation"]})
        assert answer.status_code == 200
        return issued

    async def hear(self, kind: EventType[Data], data: Data, *, tenant: UUID, subject: UUID) -> None:
        """Hand an event to the service as its consumer would."""
        event = about_person(kind, data, tenant=tenant, subject_ref=subject, now=self.clock())
        handler = self.parts.events.handlers()[kind.name]
        async with tenant_transaction(self.plumbing.app_pool, tenant) as tx:
            await handler(tx, event)

    async def events(self, tenant: UUID, subject: UUID) -> list[str]:
        """Return the types of the events about a person, in their order."""
        connection = await self.stored.superuser()
        rows = await connection.fetch(
            "SELECT type FROM outbox WHERE aggregateid = $1 ORDER BY sequence",
            f"{tenant}/{subject}",
        )
        await connection.close()
        return [row["type"] for row in rows]


@pytest.fixture
async def world(service_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[World]:
    stored = await service_database("recovery")
    owners, clock = Owners(), TestClock()
    inside = {"policy": owners.app(), "enrollment": owners.app()}
    settings = Settings(
        app_dsn=SecretStr(stored.dsn("recovery_app")),
        worker_dsn=SecretStr(stored.dsn("recovery_worker")),
        owner_dsn=SecretStr(stored.dsn("recovery_owner")),
        kafka_bootstrap="127.0.0.1:9",
        key_file=tmp_path / "unused",
        identity_key_file=tmp_path / "unused",
        identity_public_keys_file=tmp_path / "unused",
        port=1,
        internal_port=1,
        policy_url="http://policy",
        enrollment_url="http://enrollment",
    )
    async with plumbing_for(stored, clock=clock, inside=inside) as plumbing:
        parts = assemble(plumbing, settings, health=MessagingHealth())
        transport = httpx2.ASGITransport(app=parts.public)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            yield World(stored, plumbing, parts, owners, clock, http)
