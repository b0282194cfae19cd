"""Policy as it runs, on a real database, driven in process."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
from fastapi import Depends, FastAPI, Request
from pydantic import SecretStr

from contracts.internal import PUSH_APPLICATION, Done, InternalRoute, PushApplication
from contracts.vocabulary import Service
from deploy.roles import roles_of
from libs.clock import Clock, system_clock
from libs.messaging.cloud_event import CloudEvent, parse
from libs.postgres.migrate import migrate
from libs.postgres.pool import Pool, open_pool
from libs.sealing.key_file import write_key_file
from libs.service.parts import MessagingHealth
from libs.service.plumbing import Plumbing, open_plumbing
from libs.web.identity import InternalCallers
from services.policy.app import SERVICE, Listeners, assemble
from services.policy.settings import Settings
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import PASSWORD, drop_database, make_database
from tests.integration.internal_matrix import Identities, make_identities, write_identity

MIGRATIONS = Path("services/policy/migrations")
OPERATOR_KEY = "an operator's key"


@dataclass
class FakeKeepers:
    """The keepers' end of a push: checks the signature, keeps what came, answers as told.

    `refusing` is the service that does not commit it.
    """

    identities: Identities
    refusing: Service | None = None
    pushed: list[tuple[Service, PushApplication]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        async def listed(request: Request) -> str:
            keeper = Service(str(request.url.hostname))
            callers = InternalCallers(
                self.identities[keeper],
                take_once=_always,
                clock=system_clock,
                allowed=frozenset({Service.POLICY}),
            )
            return await callers(request)

        @app.post(PUSH_APPLICATION[0].path, dependencies=[Depends(listed)])
        async def push(body: PushApplication, request: Request) -> Done:
            keeper = Service(str(request.url.hostname))
            self.pushed.append((keeper, body))
            return Done(effective=keeper is not self.refusing)

        return app


@dataclass(frozen=True)
class Api:
    """The public routes, as the holder of one key sees them."""

    http: httpx2.AsyncClient
    key: str

    async def __call__(self, method: str, path: str, body: object = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        if body is None:
            return await self.http.request(method, path, headers=headers)
        return await self.http.request(method, path, headers=headers, json=body)


@dataclass(frozen=True)
class Tenant:
    """A fresh tenant and its managing key."""

    tenant_id: UUID
    application_id: UUID
    api: Api


@dataclass(frozen=True)
class Bench:
    """The service with everything around it."""

    plumbing: Plumbing
    settings: Settings
    listeners: Listeners
    identities: Identities
    owner: Pool
    http: httpx2.AsyncClient

    def with_keepers(self, transport: httpx2.AsyncBaseTransport) -> Api:
        """Return the operator's view of policy whose calls to the keepers go there."""
        plumbing = replace(self.plumbing, http=httpx2.AsyncClient(transport=transport))
        listeners = assemble(plumbing, self.settings, health=MessagingHealth())
        return Api(client_of(listeners.public), OPERATOR_KEY)

    def at(self, clock: Clock) -> "Bench":
        """Return the same policy in a process that has another time."""
        return self.with_plumbing(replace(self.plumbing, clock=clock))

    def with_plumbing(self, plumbing: Plumbing) -> "Bench":
        """Return the same policy in another process."""
        listeners = assemble(plumbing, self.settings, health=MessagingHealth())
        return replace(self, plumbing=plumbing, listeners=listeners)

    async def call(self, route: InternalRoute, body: Mapping[str, object]) -> httpx2.Response:
        """Call an internal route as the first service that may."""
        content = json.dumps(body).encode()
        token = self.identities[route.callers[0]].sign(
            audience=Service.POLICY,
            method="POST",
            path=route.path,
            body=content,
            now=self.plumbing.clock(),
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        transport = httpx2.ASGITransport(self.listeners.internal)
        async with httpx2.AsyncClient(transport=transport, base_url="http://internal") as http:
            return await http.post(route.path, content=content, headers=headers)

    async def new_tenant(self, operator: Api | None = None) -> Tenant:
        """Make a tenant."""
        operator = operator or Api(self.http, OPERATOR_KEY)
        response = await operator("POST", "/v1/tenants", {"name": "A university"})
        assert response.status_code == 201, response.text
        made = response.json()
        api = Api(operator.http, made["key"])
        return Tenant(UUID(made["tenant_id"]), UUID(made["application_id"]), api)

    async def announced(self, tenant: UUID) -> list[tuple[str, CloudEvent]]:
        """Return topic and event of all that a tenant's changes put into the outbox, in order."""
        rows = await self.owner.fetch(
            "SELECT aggregatetype, payload FROM outbox WHERE tenant_id = $1"
            " ORDER BY aggregatetype, aggregateid, sequence",
            tenant,
        )
        return [(row["aggregatetype"], parse(row["payload"])) for row in rows]


@asynccontextmanager
async def open_bench(servers: RunningServers, folder: Path) -> AsyncIterator[Bench]:
    """Make a database with policy's schema and roles, and the service on it."""
    identities = make_identities()
    async with service_database(servers, Service.POLICY) as name:
        settings = make_settings(servers, name, folder, identities=identities)
        dsn = settings.owner_dsn.get_secret_value()
        await asyncio.to_thread(migrate, dsn, schema=SERVICE, folder=MIGRATIONS)
        owner = await open_pool(dsn, name="test")
        async with open_plumbing(SERVICE, settings) as plumbing:
            listeners = assemble(plumbing, settings, health=MessagingHealth())
            async with client_of(listeners.public) as http:
                yield Bench(plumbing, settings, listeners, identities, owner, http)
        await owner.close()


@asynccontextmanager
async def service_database(servers: RunningServers, service: Service) -> AsyncIterator[str]:
    """Make a database that has the real schema and the real roles of a service; yield its name."""
    name = f"{service}_{uuid4().hex[:12]}"
    await make_database(servers, name, [service])
    try:
        yield name
    finally:
        await drop_database(servers, name)


def make_settings(
    servers: RunningServers, database: str, folder: Path, *, identities: Identities
) -> Settings:
    """Return settings for a database made by `service_database`."""
    key_file = folder / "key"
    write_key_file(key_file)
    own, all_public = write_identity(identities[Service.POLICY], folder)
    owner, app, worker = (
        SecretStr(servers.dsn(database, role, PASSWORD)) for role in roles_of("policy")
    )
    return Settings(
        owner_dsn=owner,
        app_dsn=app,
        worker_dsn=worker,
        kafka_bootstrap=servers.kafka,
        key_file=key_file,
        identity_key_file=own,
        identity_public_keys_file=all_public,
        port=0,
        internal_port=0,
        operator_key_digest=hashlib.sha256(OPERATOR_KEY.encode()).hexdigest(),
        verification_url="http://verification",
        enrollment_url="http://enrollment",
        recovery_url="http://recovery",
    )


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://policy")


async def _always(_token_id: str, _expires: object) -> bool:
    return True
