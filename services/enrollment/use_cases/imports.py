"""Imports as their sender sees them: parts come, the work begins, the outcome is read."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.topics import EVENTS
from libs.clock import Clock
from libs.ids import new_id
from libs.messaging.outbox import announce
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.callers import Caller
from services.enrollment.announcements import authenticators_imported
from services.enrollment.domain.import_refusals import ImportRefusal, Unreadable
from services.enrollment.domain.imports import (
    MOST_BYTES,
    MOST_OPEN,
    AuthenticatorImport,
    Part,
    RowOutcome,
    cancelled,
    may_take,
    started,
    with_part,
)
from services.enrollment.domain.token_rows import read_part
from services.enrollment.store import imports as store
from services.enrollment.use_cases.token_seals import TokenKeys, TokenSeals


@dataclass(frozen=True)
class WantedImport:
    """What its sender says of an import; `digest` is SHA-256 of its rows, `rows` their number."""

    dry_run: bool
    rows: int | None
    digest: str | None


@dataclass(frozen=True)
class Imports:
    """What may be done with a tenant's imports."""

    pool: Pool
    seals: TokenSeals
    clock: Clock

    async def begin(
        self, caller: Caller, wanted: WantedImport
    ) -> tuple[AuthenticatorImport, bool] | ImportRefusal:
        """Make an import, or return the open one of the same rows; True where it is new."""
        tenant, made = caller.tenant_id, await self._new(caller, wanted)
        async with tenant_transaction(self.pool, tenant) as tx:
            await store.lock_beginning(tx, tenant)
            there = await store.find_open_import(tx, tenant, made)
            found = await store.load_import(tx, tenant, there) if there is not None else None
            if found is not None:
                return found, False
            if await store.count_open_imports(tx, tenant) >= MOST_OPEN:
                return ImportRefusal.TOO_MANY_IMPORTS
            await store.add_import(tx, tenant, made)
        return made, True

    async def take_part(
        self, tenant: UUID, import_id: UUID, number: int, content: bytes
    ) -> AuthenticatorImport | ImportRefusal | Unreadable:
        """Keep some more rows, sealed; the same part again changes nothing."""
        keys = await self.seals.keys(tenant)
        digest = keys.digest("import part", content)
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.lock_import(tx, tenant, import_id)
            if found is None:
                return ImportRefusal.UNKNOWN
            if refusal := may_take(found, number):
                return refusal
            if number <= found.parts:
                there = await store.part_digest(tx, tenant, import_id, number)
                return found if there == digest else ImportRefusal.OTHER_PART
            rows = await asyncio.to_thread(read_part, content, before=found.received)
            if isinstance(rows, Unreadable):
                return rows
            if found.size + len(content) > MOST_BYTES:
                return Unreadable((f"an import has at most {MOST_BYTES} bytes",))
            taken = with_part(found, rows=len(rows), size=len(content), now=self.clock())
            await store.add_part(tx, tenant, import_id, _part(keys, found, taken, content))
            await store.save_import(tx, tenant, taken)
        return taken

    async def start(self, tenant: UUID, import_id: UUID) -> AuthenticatorImport | ImportRefusal:
        """Let the work begin."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.lock_import(tx, tenant, import_id)
            running = started(found, self.clock()) if found is not None else ImportRefusal.UNKNOWN
            if isinstance(running, AuthenticatorImport) and running != found:
                await store.save_import(tx, tenant, running)
        return running

    async def cancel(self, tenant: UUID, import_id: UUID) -> AuthenticatorImport | ImportRefusal:
        """Go no further with an import: what was done stays, what waits is erased."""
        now = self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.lock_import(tx, tenant, import_id)
            ended = cancelled(found, now) if found is not None else ImportRefusal.UNKNOWN
            if isinstance(ended, ImportRefusal) or ended == found:
                return ended
            await store.save_import(tx, tenant, ended)
            await store.erase_parts(tx, tenant, import_id, up_to_row=ended.received)
            if ended.counts.worked and not ended.dry_run:
                event = authenticators_imported(tenant, ended, now=now)
                await announce(tx, topic=EVENTS.name, event=event)
        return ended

    async def load(self, tenant: UUID, import_id: UUID) -> AuthenticatorImport | ImportRefusal:
        """Return an import as it is now."""
        async with tenant_transaction(self.pool, tenant) as tx:
            return await store.load_import(tx, tenant, import_id) or ImportRefusal.UNKNOWN

    async def rows(
        self,
        tenant: UUID,
        import_id: UUID,
        *,
        outcome: RowOutcome | None,
        after: int,
        limit: int,
    ) -> Sequence[store.RowReport] | ImportRefusal:
        """Return what became of rows."""
        async with tenant_transaction(self.pool, tenant) as tx:
            if await store.load_import(tx, tenant, import_id) is None:
                return ImportRefusal.UNKNOWN
            return await store.list_rows(
                tx, tenant, import_id, outcome=outcome, after=after, limit=limit
            )

    async def _new(self, caller: Caller, wanted: WantedImport) -> AuthenticatorImport:
        now, digest = self.clock(), None
        if wanted.digest is not None:
            keys = await self.seals.keys(caller.tenant_id)
            digest = keys.digest("import file", wanted.digest.encode())
        return AuthenticatorImport(
            import_id=new_id(),
            dry_run=wanted.dry_run,
            application_id=caller.application_id,
            author=caller.key_id,
            created=now,
            touched=now,
            expected=wanted.rows,
            file_digest=digest,
        )


def _part(
    keys: TokenKeys, before: AuthenticatorImport, after: AuthenticatorImport, content: bytes
) -> Part:
    sealed = keys.seal_part(content, import_id=after.import_id, number=after.parts)
    digest = keys.digest("import part", content)
    return Part(after.parts, before.received + 1, after.received, digest, sealed)
