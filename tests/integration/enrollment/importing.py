"""Imports, driven as a client and a worker drive them."""

import json
import secrets
from base64 import b32encode
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2

from contracts.envelope import application_key
from contracts.vocabulary import Scope
from libs.ids import new_id
from services.enrollment.use_cases.importing import Importing
from tests.integration.enrollment.things import Application, Enrolled, Person
from tests.integration.enrollment.world import World

Body = dict[str, object]


def new_secret() -> str:
    """Return a secret in base32."""
    return b32encode(secrets.token_bytes(20)).decode()


def totp(**said: object) -> Body:
    """Return a row of a totp token."""
    return {"factor": "totp", "secret": new_secret(), **said}


def hotp(**said: object) -> Body:
    """Return a row of a hotp token."""
    return {"factor": "hotp", "secret": new_secret(), "counter": 5, **said}


def json_lines(*rows: Body) -> str:
    """Return rows as a part."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def importing(world: World, *, rows_at_once: int = 500) -> Importing:
    """Return the worker of a process."""
    made = world.parts.imports.housekeeping.importing
    return Importing(made.imports, made.policy, made.worker_pool, rows_at_once)


async def work(world: World, *, rows_at_once: int = 500) -> None:
    """Work through everything that was started."""
    worker = importing(world, rows_at_once=rows_at_once)
    while await worker.round():
        pass


async def new_manager(world: World, *, tenant: UUID | None = None) -> "Sender":
    """Return somebody who may import for a tenant."""
    return Sender(world, await world.application(tenant=tenant, scopes=(Scope.MANAGE,)))


@dataclass(frozen=True)
class Sender:
    """One tenant's imports."""

    world: World
    manager: Application
    path: str = "/v1/authenticator-imports"
    ended: frozenset[str] = field(default=frozenset(("finished", "cancelled")))

    @property
    def tenant(self) -> UUID:
        return self.manager.tenant

    async def ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return await self.world.ask(self.manager, method, path, body)

    async def begin(self, *, dry_run: bool = False, **said: object) -> str:
        answer = await self.ask("POST", self.path, {"dry_run": dry_run, **said})
        assert answer.status_code in (200, 201), answer.text
        import_id: str = answer.json()["import_id"]
        return import_id

    async def put(self, import_id: str, number: int, content: str | bytes) -> httpx2.Response:
        return await self.world.public.put(
            f"{self.path}/{import_id}/parts/{number}",
            content=content if isinstance(content, bytes) else content.encode(),
            headers={
                "Authorization": f"Bearer {self.manager.key}",
                "Content-Type": "text/plain; charset=utf-8",
            },
        )

    async def start(self, import_id: str) -> httpx2.Response:
        return await self.ask("POST", f"{self.path}/{import_id}/start")

    async def sent(self, *parts: str, dry_run: bool = False) -> str:
        """Send and start an import."""
        import_id = await self.begin(dry_run=dry_run)
        for number, part in enumerate(parts, start=1):
            answer = await self.put(import_id, number, part)
            assert answer.status_code == 200, answer.text
        answer = await self.start(import_id)
        assert answer.status_code == 200, answer.text
        return import_id

    async def done(self, *rows: Body, dry_run: bool = False, rows_at_once: int = 500) -> str:
        """Send an import of rows and work through it."""
        import_id = await self.sent(json_lines(*rows), dry_run=dry_run)
        await work(self.world, rows_at_once=rows_at_once)
        return import_id

    async def shown(self, import_id: str) -> dict[str, Any]:
        answer = await self.ask("GET", f"{self.path}/{import_id}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def rows(self, import_id: str, query: str = "?limit=1000") -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"{self.path}/{import_id}/rows{query}")
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["rows"]
        return rows

    async def outcomes(self, import_id: str) -> list[tuple[str, list[str]]]:
        return [(row["outcome"], row["errors"]) for row in await self.rows(import_id)]

    async def tokens(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/v1/hardware-tokens{query}")
        assert answer.status_code == 200, answer.text
        tokens: list[dict[str, Any]] = answer.json()["hardware_tokens"]
        return tokens

    async def announced(self) -> list[dict[str, Any]]:
        """Return what was said of the tenant, in its order."""
        rows = await self.world.rows(
            "SELECT convert_from(payload, 'UTF8') AS body FROM outbox WHERE aggregateid = $1"
            " ORDER BY sequence",
            application_key(self.tenant, self.tenant),
        )
        return [json.loads(str(row["body"])) for row in rows]

    def person(self) -> Person:
        return self.world.person(self.tenant)

    async def enrolled(self, person: Person, *, secret: object = "") -> Enrolled:
        """Return the only authenticator of somebody."""
        [(_, data)] = [one for one in await self.world.events(person) if one[0] == "mfa.enrolled"]
        became = str(data["authenticator_id"])
        return Enrolled(person, became, "", secret=str(secret), step=0)

    async def count(self, table: str) -> int:
        query = f"SELECT count(*) AS n FROM {table} WHERE tenant_id = $1"
        [row] = await self.world.rows(query, self.tenant)
        return int(str(row["n"]))


def attempt() -> UUID:
    """Return the id of an attempt to claim."""
    return new_id()
