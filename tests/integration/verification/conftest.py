"""Verification in this process, on real PostgreSQL and Valkey, with simulated owners beside it."""

import asyncio
import secrets
from base64 import b32encode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pyotp
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from redis.asyncio import Redis

from contracts.envelope import application_key
from contracts.internal import (
    ACKNOWLEDGE_CREDENTIAL,
    CLAIM_CREDENTIAL,
    NAME_SUBJECTS,
    AcknowledgeCredential,
    ClaimCredential,
    ClaimedCredential,
    Credential,
    Done,
    NamedSubjects,
    NameSubjects,
    letter_place,
)
from contracts.policy import ApplicationKey, ApplicationState, PolicyState
from contracts.roles import Role
from contracts.rules import Rule
from contracts.topics import APPLICATIONS, POLICIES
from contracts.vocabulary import Algorithm, Factor, KeyMode, Requirement, Scope
from libs import telemetry
from libs.ids import new_id
from libs.messaging.copies import save_copy
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from libs.sealing.letter import write_letter
from libs.sealing.providers import KeyProvider
from libs.service.parts import MessagingHealth
from libs.service.plumbing import Plumbing
from libs.web.api_keys import new_api_key
from libs.web.problems import Problem, answer_with_problems
from services.verification.app import Assembled, assemble, budget_of
from services.verification.cluster_map import Cluster
from services.verification.domain.budget import Budget
from services.verification.reserve import Cache, open_redis
from services.verification.settings import Settings
from services.verification.store import claims
from services.verification.store import subjects as store
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase, ServiceDatabase, TestClock, plumbing_for


@dataclass
class Owners:
    """What enrollment and policy would answer."""

    credentials: dict[UUID, Credential] = field(default_factory=dict)
    owned_by: dict[UUID, UUID] = field(default_factory=dict)
    names: dict[UUID, str] = field(default_factory=dict)
    acknowledged: list[UUID] = field(default_factory=list)
    down: bool = False
    refuse_with: int | None = None

    def app(self) -> FastAPI:
        """Return both owners as one app."""
        app = FastAPI()
        answer_with_problems(app)

        @app.post(CLAIM_CREDENTIAL.path)
        async def claim(body: ClaimCredential) -> ClaimedCredential:
            self._refuse_when_down()
            owner = self.owned_by.setdefault(body.authenticator_id, body.attempt_id)
            if owner != body.attempt_id:
                raise Problem(409, "claimed_by_another", "Claimed")
            if body.authenticator_id not in self.credentials:
                raise Problem(410, "removed", "Removed")
            content = self.credentials[body.authenticator_id].model_dump(mode="json")
            place = letter_place(
                CLAIM_CREDENTIAL, body.tenant, body.authenticator_id, body.attempt_id
            )
            return ClaimedCredential(letter=write_letter(body.public_key, content, place=place))

        @app.post(ACKNOWLEDGE_CREDENTIAL.path)
        async def acknowledge(body: AcknowledgeCredential) -> Done:
            self._refuse_when_down()
            self.acknowledged.append(body.authenticator_id)
            return Done(effective=True)

        @app.post(NAME_SUBJECTS.path)
        async def name(body: NameSubjects) -> NamedSubjects:
            self._refuse_when_down()
            names = {str(one): self.names[one] for one in body.subject_refs if one in self.names}
            place = letter_place(NAME_SUBJECTS, body.tenant)
            return NamedSubjects(
                letter=write_letter(body.public_key, {"names": names}, place=place)
            )

        return app

    def _refuse_when_down(self) -> None:
        if self.down:
            raise Problem(503, "unavailable", "Down")
        if self.refuse_with is not None:
            raise Problem(self.refuse_with, "refused", "Refused")


@dataclass(frozen=True)
class Application:
    """An application with one key."""

    tenant: UUID
    application_id: UUID
    key: str
    version: int = 1


@dataclass(frozen=True)
class Person:
    """A subject with one TOTP authenticator, and the phone that makes its codes."""

    tenant: UUID
    subject_ref: UUID
    name: str
    authenticator_id: UUID
    phone: pyotp.TOTP


NO_WAITS = 1_000
ANY_CLOCK = timedelta(days=3650)
# What the fast lane does not read, and hands on to the app.
SLOWLY = {"Content-Type": "application/json; charset=utf-8"}


@dataclass
class World:
    """One running verification and what surrounds it.

    Questions take the fast lane of POST /v1/verify, but for those with SLOWLY in their headers.
    """

    stored: ServiceDatabase
    plumbing: Plumbing
    parts: Assembled
    cache: Cache
    redis: Redis
    owners: Owners
    clock: TestClock
    public: httpx2.AsyncClient

    async def application(
        self,
        *,
        tenant: UUID | None = None,
        scopes: tuple[Scope, ...] = (Scope.VERIFY,),
        requirement: Requirement = Requirement.REQUIRED,
        factors: tuple[Factor, ...] = (Factor.TOTP,),
        with_policy: bool = True,
        rules: tuple[Rule, ...] = (),
        role: Role = Role.APPLICATION,
    ) -> Application:
        """Make an application as policy's events would."""
        tenant, application_id = tenant or uuid4(), new_id()
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
                    role=role,
                ),
            ),
        )
        policy = PolicyState(
            application_id=application_id,
            version=1,
            deleted=False,
            requirement=requirement,
            factors=factors,
            rules=rules,
            rules_version=1 if rules else None,
            rules_digest="5e" * 32 if rules else None,
        )
        place = application_key(tenant, application_id)
        async with tenant_transaction(self.plumbing.app_pool, tenant) as tx:
            await save_copy(
                tx,
                tenant=tenant,
                topic=APPLICATIONS.name,
                key=place,
                state=state.model_dump(mode="json"),
            )
            if with_policy:
                await save_copy(
                    tx,
                    tenant=tenant,
                    topic=POLICIES.name,
                    key=place,
                    state=policy.model_dump(mode="json"),
                )
        return Application(tenant, application_id, key.text)

    async def person(self, tenant: UUID, *, last_step: int = -1) -> Person:
        """Enroll somebody through the claim contract, as enrollment's event would."""
        name, subject = f"{uuid4().hex}@example.org", uuid4()
        self.owners.names[subject] = name
        return await self._enroll(tenant, subject, name, last_step=last_step)

    async def second_authenticator(self, person: Person) -> Person:
        """Give a person another authenticator; returns them with that one's phone."""
        return await self._enroll(person.tenant, person.subject_ref, person.name, last_step=-1)

    async def _enroll(self, tenant: UUID, subject: UUID, name: str, *, last_step: int) -> Person:
        authenticator_id, secret = new_id(), secrets.token_bytes(20)
        self.owners.credentials[authenticator_id] = Credential(
            factor=Factor.TOTP,
            epoch=1,
            secret=b64encode(secret).decode(),
            algorithm=Algorithm.SHA1,
            digits=6,
            period=30,
            last_step=last_step,
        )
        async with tenant_transaction(self.plumbing.app_pool, tenant) as tx:
            await store.lock_subject(tx, tenant, subject)
            await claims.want_name(tx, tenant=tenant, subject=subject, traceparent=None)
            await claims.want_credential(
                tx,
                tenant=tenant,
                subject=subject,
                authenticator_id=authenticator_id,
                traceparent=None,
            )
        await self.claim_all()
        phone = pyotp.TOTP(b32encode(secret).decode())
        return Person(tenant, subject, name, authenticator_id, phone)

    async def claim_all(self) -> None:
        """Make every claim that is due, and the acknowledgements that follow."""
        worker = self.plumbing.worker_pool
        while taken := await claims.take_due(worker, most=50):
            for claim in taken:
                await self.parts.events.credentials.fulfil(claim)

    def code(self, person: Person, *, steps: int = 0) -> str:
        """Return the code that the person's phone shows now, or some steps from now."""
        return person.phone.at(self.clock(), counter_offset=steps)

    def wrong_code(self, person: Person) -> str:
        """Return a code that is none of those near now."""
        right = {person.phone.at(self.clock(), counter_offset=step) for step in range(-3, 4)}
        return next(code for digit in "0123456789" if (code := digit * 6) not in right)

    async def verify(
        self,
        application: Application,
        person: Person,
        code: str,
        *,
        idempotency_key: str | None = None,
    ) -> httpx2.Response:
        """Ask as the application would."""
        headers = {"Authorization": f"Bearer {application.key}"}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        body = {"subject": person.name, "code": code}
        return await self.public.post("/v1/verify", json=body, headers=headers)

    async def decide(self, application: Application, name: str) -> httpx2.Response:
        """Ask for a decision as the application would."""
        headers = {"Authorization": f"Bearer {application.key}"}
        return await self.public.post("/v1/decisions", json={"subject": name}, headers=headers)

    async def rows(self, query: str, *arguments: object) -> list[dict[str, object]]:
        """Look at the tables from behind the wall."""
        connection = await self.stored.superuser()
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def events(self, person: Person) -> list[str]:
        """Return the types of the events about a person, in their order."""
        rows = await self.rows(
            "SELECT type FROM outbox WHERE aggregateid = $1 ORDER BY sequence",
            f"{person.tenant}/{person.subject_ref}",
        )
        return [str(row["type"]) for row in rows]


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin no trace: answers are compared whole, and a trace's id stands in them."""
    monkeypatch.setitem(telemetry._SAMPLED, "root", 0.0)


@pytest.fixture
async def world(
    servers: RunningServers, service_database: MakeDatabase, tmp_path: Path
) -> AsyncIterator[World]:
    stored = await service_database("verification")
    # A Redis that is only slow, on a busy machine, would count as away: PostgreSQL charges again,
    # and no number of guesses would be exact.
    patience = timedelta(seconds=10)
    async with running_world(stored, servers.valkey_url, tmp_path, patience=patience) as made:
        yield made


@asynccontextmanager
async def running_world(
    stored: ServiceDatabase,
    redis_url: str,
    folder: Path,
    *,
    clock: TestClock | None = None,
    patience: timedelta = timedelta(milliseconds=250),
    clock_tolerance: timedelta = ANY_CLOCK,
    quarantine: bool = True,
    waits: bool = False,
    cluster: Cluster | None = None,
    budget: Callable[[Settings], Budget] = budget_of,
    provider: KeyProvider | None = None,
    keys: Callable[[Pool, KeyProvider], DataKeys] = DataKeys,
) -> AsyncIterator[World]:
    """Run verification on a database and a Redis; a second one makes a second process.

    Most tests guess at once what they may: only those about them have growing `waits`.
    `patience` is how long Redis may take; a `cluster` takes its place for verification. Tests move
    the clock, and PostgreSQL's stays as it is: only those about that use a `clock_tolerance` as in
    the product.
    """
    owners, clock = Owners(), clock or TestClock()
    settings = settings_for(stored, redis_url, folder).model_copy(
        update={
            "clock_tolerance": clock_tolerance,
            "quarantine_after_promotion": quarantine,
            "failures_before_waiting": 5 if waits else NO_WAITS,
        }
    )
    redis = open_redis(redis_url, timeout=patience)
    cache = Cache(cluster or redis, budget(settings))
    inside = {"policy": owners.app(), "enrollment": owners.app()}
    stop = asyncio.Event()
    opened = plumbing_for(stored, clock=clock, inside=inside, provider=provider, keys=keys)
    async with opened as plumbing, redis:
        parts = assemble(plumbing, settings, cache=cache, health=MessagingHealth())
        running = [
            asyncio.create_task(part(stop))
            for part in (parts.settler.run, parts.lookups.run, parts.watch.run, parts.lag.run)
        ]
        transport = httpx2.ASGITransport(app=parts.public)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as public:
            yield World(stored, plumbing, parts, cache, redis, owners, clock, public)
        stop.set()
        await asyncio.gather(*running)
        await cache.drained()


def settings_for(stored: ServiceDatabase, redis_url: str, folder: Path) -> Settings:
    """Return settings that lead to a test's servers."""
    return Settings(
        app_dsn=SecretStr(stored.dsn("verification_app")),
        worker_dsn=SecretStr(stored.dsn("verification_worker")),
        owner_dsn=SecretStr(stored.dsn("verification_owner")),
        settle_dsn=SecretStr(stored.dsn("verification_settle")),
        redis_url=SecretStr(redis_url),
        kafka_bootstrap="127.0.0.1:9",
        key_file=folder / "unused",
        identity_key_file=folder / "unused",
        identity_public_keys_file=folder / "unused",
        port=1,
        internal_port=1,
        policy_url="http://policy",
        enrollment_url="http://enrollment",
    )


def reason_of(response: httpx2.Response) -> object:
    """Return the reason that a caller with verify:reasons reads."""
    with suppress(ValueError):
        return response.json().get("detail")
    return None
