"""What concurrent requests look up, in one statement each: whom a name means, earlier answers.

These reads pass the tenants' walls like settle, by the same narrow role, and join on the tenant of
the caller; they never see a secret.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from contracts.envelope import application_key
from contracts.topics import APPLICATIONS
from libs.batching import Batches
from libs.postgres.line import FAILURES, Line

_SECONDS = 2.0
_PATIENCE = timedelta(seconds=1)
_NAMES = """
SELECT w.n, s.id FROM unnest($1::int[], $2::uuid[], $3::bytea[]) AS w (n, tenant_id, lookup)
JOIN subject s ON s.tenant_id = w.tenant_id AND s.lookup = w.lookup WHERE NOT s.deleted
"""
_ANSWERS = """
SELECT w.n, a.request, a.event_id, a.authenticator_id, a.factor, a.at,
    EXISTS (SELECT FROM replica r WHERE r.tenant_id = w.tenant_id AND r.topic = $8
        AND r.key = w.key AND r.version = w.version AND NOT r.deleted)
FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::bytea[], $5::timestamptz[], $6::text[],
    $7::bigint[]) AS w (n, tenant_id, application_id, idempotency_key, since, key, version)
JOIN answer a ON a.tenant_id = w.tenant_id AND a.application_id = w.application_id
    AND a.idempotency_key = w.idempotency_key AND a.at >= w.since
"""


class Name(msgspec.Struct, frozen=True):
    """A tenant's subject by the digest of its name."""

    tenant: UUID
    lookup: bytes


class Asked(msgspec.Struct, frozen=True):
    """An Idempotency-Key, as a digest, of an application, since when answers count.

    `version` is that of the application's state as the asker knows it.
    """

    tenant: UUID
    application_id: UUID
    key: bytes
    since: datetime
    version: int


class StoredAnswer(msgspec.Struct, frozen=True):
    """The first answer to an Idempotency-Key, and the request that it belongs to.

    `caller_is_known` tells whether the application is still what the asker took it for.
    """

    request: bytes
    event_id: UUID
    authenticator_id: UUID
    factor: str
    at: datetime
    caller_is_known: bool


class Lookups:
    """Names that were found are kept, the `most` latest; settle asks PostgreSQL again anyway."""

    def __init__(self, dsn: str, *, most: int) -> None:
        self._lines = [
            Line(
                dsn,
                name=name,
                seconds=_SECONDS,
                server_settings={"plan_cache_mode": "force_generic_plan"},
            )
            for name in ("names", "answers")
        ]
        self._names: Batches[Name, UUID | None] = Batches(self._read_names, patience=_PATIENCE)
        self._answers: Batches[Asked, StoredAnswer | None] = Batches(
            self._read_answers, patience=_PATIENCE
        )
        self._kept: OrderedDict[Name, UUID] = OrderedDict()
        self._most = most

    async def subject_ref(self, name: Name) -> UUID | None:
        """Return whom the application means, or None for a stranger."""
        kept = self._kept.get(name)
        if kept is not None:
            self._kept.move_to_end(name)
            return kept
        found = await self._names.do(name)
        if found is not None:
            self._kept[name] = found
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found

    def forget(self, name: Name) -> None:
        """Ask PostgreSQL again next time, because it contradicted what followed from the name."""
        self._kept.pop(name, None)

    async def answer(self, asked: Asked) -> StoredAnswer | None:
        """Return what this Idempotency-Key was answered with, if there was an answer."""
        return await self._answers.do(asked)

    async def run(self, stop: asyncio.Event) -> None:
        """Close the connections when asked to stop (a part of the process)."""
        try:
            await stop.wait()
        finally:
            for line in self._lines:
                with suppress(*FAILURES):
                    await line.close()

    async def _read_names(self, names: list[Name]) -> list[UUID | None]:
        rows = await self._lines[0].fetch(
            _NAMES,
            list(range(len(names))),
            [name.tenant for name in names],
            [name.lookup for name in names],
        )
        found = {row[0]: row[1] for row in rows}
        return [found.get(n) for n in range(len(names))]

    async def _read_answers(self, asked: list[Asked]) -> list[StoredAnswer | None]:
        rows = await self._lines[1].fetch(
            _ANSWERS,
            list(range(len(asked))),
            [one.tenant for one in asked],
            [one.application_id for one in asked],
            [one.key for one in asked],
            [one.since for one in asked],
            [application_key(one.tenant, one.application_id) for one in asked],
            [one.version for one in asked],
            APPLICATIONS.name,
        )
        found = {row[0]: StoredAnswer(*row[1:]) for row in rows}
        return [found.get(n) for n in range(len(asked))]
