"""Enrollment in this process, on real PostgreSQL, with its neighbours beside it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import httpx2
import pyotp

from contracts.envelope import application_key, person_key
from contracts.internal import (
    ACKNOWLEDGE_CREDENTIAL,
    APPLY_RESET,
    CLAIM_CREDENTIAL,
    Credential,
    InternalRoute,
    letter_place,
)
from contracts.passkeys import PasskeyParty
from contracts.policy import ApplicationKey, ApplicationState, PolicyState
from contracts.roles import Role
from contracts.rules import Rule
from contracts.topics import APPLICATIONS, POLICIES
from contracts.vocabulary import Factor, KeyMode, Requirement, Scope, Service
from libs.ids import new_id
from libs.messaging.copies import save_copy
from libs.postgres.pool import tenant_transaction
from libs.sealing.letter import LetterBox
from libs.sealing.providers import KeyProvider
from libs.service.parts import MessagingHealth
from libs.service.plumbing import Plumbing
from libs.web.api_keys import new_api_key
from services.enrollment.app import Assembled, assemble
from tests.fixtures.services import ServiceDatabase, TestClock, identity_of, plumbing_for
from tests.integration.enrollment.neighbours import Neighbours
from tests.integration.enrollment.things import Application, Enrolled, Enrolling, Person


@dataclass
class World:
    """One running enrollment and what surrounds it."""

    stored: ServiceDatabase
    plumbing: Plumbing
    parts: Assembled
    neighbours: Neighbours
    clock: TestClock
    public: httpx2.AsyncClient
    internal: httpx2.AsyncClient
    # What people have had enrolled here, by their names.
    held: dict[str, str] = field(default_factory=dict)

    async def application(
        self,
        *,
        tenant: UUID | None = None,
        name: str = "Acme HR",
        scopes: tuple[Scope, ...] = (Scope.ENROLL,),
        factors: tuple[Factor, ...] | None = (Factor.TOTP,),
        rules: tuple[Rule, ...] = (),
        required: bool = True,
        role: Role = Role.APPLICATION,
        passkeys: PasskeyParty | None = None,
    ) -> Application:
        """Make an application as policy's events would; without factors, it has no policy yet."""
        made = Application(tenant or uuid4(), new_id(), "")
        key = new_api_key(mode="test", application_id=made.application_id)
        issued = ApplicationKey(
            key_id=new_id(),
            digest=key.digest,
            scopes=scopes,
            mode=KeyMode.TEST,
            revoked=False,
            role=role,
        )
        state = ApplicationState(
            application_id=made.application_id,
            version=1,
            deleted=False,
            name=name,
            keys=(issued,),
            passkeys=passkeys,
        )
        await self._keep(made, APPLICATIONS.name, state.model_dump(mode="json"))
        if factors is not None:
            policy = PolicyState(
                application_id=made.application_id,
                version=1,
                deleted=False,
                requirement=Requirement.REQUIRED if required else Requirement.OFF,
                factors=factors,
                rules=rules,
            )
            await self._keep(made, POLICIES.name, policy.model_dump(mode="json"))
        return replace(made, key=key.text)

    def person(self, tenant: UUID, *, label: str | None = None) -> Person:
        """Let policy know somebody."""
        made = Person(tenant, uuid4(), f"{uuid4().hex}@example.org")
        self.neighbours.subjects[tenant, made.name] = (made.subject_ref, label or made.name)
        return made

    async def ask(
        self,
        application: Application,
        method: str,
        path: str,
        body: object = None,
        *,
        receipt: str | None = None,
    ) -> httpx2.Response:
        """Send a request as the application.

        Where nothing is said of a receipt, it had a code of the person verified just now, if there
        is any; an empty one is none.
        """
        headers = {"Authorization": f"Bearer {application.key}"}
        if receipt is None:
            receipt = self._receipt(application, method, path, body)
        if receipt:
            headers["Watchword-Receipt"] = receipt
        content = None if body is None else json.dumps(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        return await self.public.request(method, path, headers=headers, content=content)

    async def start(
        self, application: Application, person: Person, *, name: str | None = None
    ) -> Enrolling:
        """Start an enrollment and scan what it shows."""
        body = {"subject": person.name, "factor": "totp", "name": name}
        answer = await self.ask(application, "POST", "/v1/enrollments", body)
        assert answer.status_code == 201, answer.text
        shown = answer.json()
        phone = pyotp.parse_uri(shown["otpauth_uri"])
        assert isinstance(phone, pyotp.TOTP)
        return Enrolling(person, shown["enrollment_id"], phone, shown["key"].replace(" ", ""))

    async def confirm(
        self, application: Application, enrolling: Enrolling, code: str
    ) -> httpx2.Response:
        """Send a code."""
        path = f"/v1/enrollments/{enrolling.enrollment_id}/confirmation"
        return await self.ask(application, "POST", path, {"code": code})

    async def enroll(
        self, application: Application, person: Person, *, name: str | None = None
    ) -> Enrolled:
        """Go all the way."""
        enrolling = await self.start(application, person, name=name)
        step = int(self.clock().timestamp()) // 30
        answer = await self.confirm(application, enrolling, self.code(enrolling))
        assert answer.status_code == 200, answer.text
        became = answer.json()["authenticator_id"]
        self.held[person.name] = became
        ticket = answer.json()["recovery_ticket"]
        return Enrolled(person, became, ticket, secret=enrolling.secret, step=step)

    def code(self, enrolling: Enrolling, *, steps: int = 0) -> str:
        """Return the code that the phone shows now, or some steps from now."""
        return enrolling.phone.at(self.clock(), counter_offset=steps)

    def wrong_code(self, enrolling: Enrolling, *, number: int = 0) -> str:
        """Return a code that is none of those near now."""
        right = {self.code(enrolling, steps=steps) for steps in range(-3, 4)}
        return [code for digit in "0123456789" if (code := digit * 6) not in right][number]

    async def call(
        self, route: InternalRoute, caller: Service, body: dict[str, object]
    ) -> httpx2.Response:
        """Call an internal route as another service."""
        content = json.dumps(body).encode()
        token = identity_of(caller.value).sign(
            audience="enrollment",
            method="POST",
            path=route.path,
            body=content,
            now=self.clock(),
        )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self.internal.post(route.path, content=content, headers=headers)

    async def claim(
        self, about: Enrolled, attempt: UUID, *, subject_ref: UUID | None = None
    ) -> Credential | int:
        """Claim as verification does; a refusal is its status."""
        box = LetterBox()
        tenant = about.person.tenant
        body: dict[str, object] = {
            "tenant": str(tenant),
            "subject_ref": str(subject_ref or about.person.subject_ref),
            "authenticator_id": about.authenticator_id,
            "attempt_id": str(attempt),
            "public_key": box.public_key,
        }
        answer = await self.call(CLAIM_CREDENTIAL, Service.VERIFICATION, body)
        if answer.status_code != 200:
            return answer.status_code
        assert answer.headers["cache-control"] == "no-store"
        place = letter_place(CLAIM_CREDENTIAL, tenant, about.authenticator_id, attempt)
        return Credential.model_validate(box.open(answer.json()["letter"], place=place))

    async def acknowledge(self, about: Enrolled, attempt: UUID) -> int:
        """Acknowledge as verification does."""
        body: dict[str, object] = {
            "tenant": str(about.person.tenant),
            "authenticator_id": about.authenticator_id,
            "attempt_id": str(attempt),
        }
        answer = await self.call(ACKNOWLEDGE_CREDENTIAL, Service.VERIFICATION, body)
        return answer.status_code

    async def reset(self, person: Person, reset_id: UUID) -> httpx2.Response:
        """Ask for a reset as recovery does."""
        body: dict[str, object] = {
            "tenant": str(person.tenant),
            "subject_ref": str(person.subject_ref),
            "reset_id": str(reset_id),
        }
        return await self.call(APPLY_RESET, Service.RECOVERY, body)

    async def rows(self, query: str, *arguments: object) -> Sequence[dict[str, object]]:
        """Look at the tables from behind the wall."""
        connection = await self.stored.superuser()
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def events(self, person: Person) -> list[tuple[str, dict[str, object]]]:
        """Return type and data of the events about a person, in their order."""
        rows = await self.rows(
            "SELECT convert_from(payload, 'UTF8') AS body FROM outbox"
            " WHERE aggregateid = $1 ORDER BY sequence",
            person_key(person.tenant, person.subject_ref),
        )
        bodies = [json.loads(str(row["body"])) for row in rows]
        return [(body["type"], body["data"]) for body in bodies]

    async def event_types(self, person: Person) -> list[str]:
        """Return the types of the events about a person, in their order."""
        return [kind.removeprefix("mfa.") for kind, _ in await self.events(person)]

    def _receipt(self, application: Application, method: str, path: str, body: object) -> str:
        if method == "DELETE":
            shown = path.rpartition("/")[2]
        else:
            name = body.get("subject") if isinstance(body, dict) else None
            shown = self.held.get(str(name), "")
        about = application.application_id
        return self.neighbours.receipt(about, shown) if shown else ""

    async def _keep(self, made: Application, topic: str, state: dict[str, object]) -> None:
        key = application_key(made.tenant, made.application_id)
        async with tenant_transaction(self.plumbing.app_pool, made.tenant) as tx:
            await save_copy(tx, tenant=made.tenant, topic=topic, key=key, state=state)


@asynccontextmanager
async def running_world(
    stored: ServiceDatabase,
    *,
    clock: TestClock | None = None,
    neighbours: Neighbours | None = None,
    provider: KeyProvider | None = None,
) -> AsyncIterator[World]:
    """Run enrollment on a database; a second one makes a second process."""
    clock = clock or TestClock()
    neighbours = neighbours or Neighbours(clock)
    inside = {"policy": neighbours.policy(), "verification": neighbours.verification()}
    async with plumbing_for(stored, clock=clock, inside=inside, provider=provider) as plumbing:
        parts = assemble(
            plumbing,
            policy_url="http://policy",
            verification_url="http://verification",
            health=MessagingHealth(),
        )
        # As a process does when it starts.
        await parts.workers.remove.verification.fetch_keys()
        async with (
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=parts.public), base_url="http://public"
            ) as public,
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=parts.internal), base_url="http://internal"
            ) as internal,
        ):
            yield World(stored, plumbing, parts, neighbours, clock, public, internal)
