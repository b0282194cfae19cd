"""Imports, driven as a client and a worker drive them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from services.policy.app import directory_of
from services.policy.use_cases.importing import Importing
from tests.integration.policy.bench import Bench, Tenant


@dataclass(frozen=True)
class Sender:
    """One tenant's imports."""

    bench: Bench
    tenant: Tenant

    async def begin(self, kind: str = "csv", *, dry_run: bool = False, **said: object) -> str:
        body = {"format": kind, "dry_run": dry_run, **said}
        response = await self.tenant.api("POST", "/v1/imports", body)
        assert response.status_code in (200, 201), response.text
        import_id: str = response.json()["import_id"]
        return import_id

    async def put(self, import_id: str, number: int, content: str | bytes) -> httpx2.Response:
        return await self.tenant.api.http.put(
            f"/v1/imports/{import_id}/parts/{number}",
            content=content if isinstance(content, bytes) else content.encode(),
            headers={
                "Authorization": f"Bearer {self.tenant.api.key}",
                "Content-Type": "text/plain; charset=utf-8",
            },
        )

    async def start(self, import_id: str) -> httpx2.Response:
        return await self.tenant.api("POST", f"/v1/imports/{import_id}/start")

    async def sent(self, *parts: str | bytes, kind: str = "csv", dry_run: bool = False) -> str:
        """Send and start an import."""
        import_id = await self.begin(kind, dry_run=dry_run)
        for number, part in enumerate(parts, start=1):
            response = await self.put(import_id, number, part)
            assert response.status_code == 200, response.text
        response = await self.start(import_id)
        assert response.status_code == 200, response.text
        return import_id

    async def done(self, *parts: str | bytes, kind: str = "csv", dry_run: bool = False) -> str:
        """Send an import and work through it."""
        import_id = await self.sent(*parts, kind=kind, dry_run=dry_run)
        await work(self.bench)
        return import_id

    async def shown(self, import_id: str) -> dict[str, Any]:
        response = await self.tenant.api("GET", f"/v1/imports/{import_id}")
        assert response.status_code == 200, response.text
        shown: dict[str, Any] = response.json()
        return shown

    async def rows(self, import_id: str, query: str = "") -> list[dict[str, Any]]:
        response = await self.tenant.api("GET", f"/v1/imports/{import_id}/rows{query}")
        assert response.status_code == 200, response.text
        rows: list[dict[str, Any]] = response.json()["rows"]
        return rows

    async def outcomes(self, import_id: str) -> list[tuple[int, str, list[str]]]:
        return [(row["row"], row["outcome"], row["errors"]) for row in await self.rows(import_id)]

    async def subjects(self) -> list[dict[str, Any]]:
        response = await self.tenant.api("GET", "/v1/subjects?limit=200")
        subjects: list[dict[str, Any]] = response.json()["subjects"]
        return subjects


def importing(bench: Bench, *, rows_at_once: int = 500) -> Importing:
    """Return the worker of a process."""
    made = directory_of(bench.plumbing).importing
    return Importing(made.imports, made.worker_pool, rows_at_once)


async def work(bench: Bench, *, rows_at_once: int = 500) -> None:
    """Work through everything that was started."""
    worker = importing(bench, rows_at_once=rows_at_once)
    while await worker.round():
        pass


def json_lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
