"""Imports as their sender sees them: parts come, the work begins, the outcome is read."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from libs.clock import Clock
from libs.ids import new_id
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.seal import DataKey
from libs.web.callers import Caller
from services.policy.announcements import subjects_imported
from services.policy.domain.imports import (
    MOST_OPEN,
    Part,
    RowOutcome,
    SubjectImport,
    cancelled,
    may_take,
    started,
    with_part,
)
from services.policy.domain.refusals import Refusal, Unreadable
from services.policy.domain.subject_rows import Format, read_part
from services.policy.store import imports as store
from services.policy.store.announcements import announce_all
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.part_seals import PartSeals, seal_part
from services.policy.use_cases.personal import PersonalSeals


@dataclass(frozen=True)
class WantedImport:
    """What its sender says of an import; `digest` is SHA-256 of the file, `rows` their number."""

    format: Format
    dry_run: bool
    rows: int | None
    digest: str | None


@dataclass(frozen=True)
class Imports:
    """What may be done with a tenant's imports."""

    pool: Pool
    seals: PersonalSeals
    parts: PartSeals
    clock: Clock

    async def begin(
        self, caller: Caller, wanted: WantedImport
    ) -> tuple[SubjectImport, bool] | Refusal:
        """Make an import, or return the open one of the same file; True where it is new."""
        tenant, made = caller.tenant_id, await self._new(caller, wanted)
        async with tenant_transaction(self.pool, tenant) as tx:
            # Two that begin at once are one after the other.
            locked = await lock_for(tx, caller)
            if isinstance(locked, Refusal):
                return locked
            there = await store.find_open_import(tx, tenant, made)
            found = await store.load_import(tx, tenant, there) if there is not None else None
            if found is not None:
                return found, False
            if await store.count_open_imports(tx, tenant) >= MOST_OPEN:
                return Refusal.TOO_MANY_IMPORTS
            await store.add_import(tx, tenant, made)
        return made, True

    async def take_part(
        self, tenant: UUID, import_id: UUID, number: int, content: bytes
    ) -> SubjectImport | Refusal | Unreadable:
        """Keep some more rows; the same part again changes nothing."""
        digest = (await self.seals.keys(tenant)).content_digest("import part", content)
        key = await self.parts.key(tenant)
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.lock_import(tx, tenant, import_id)
            if found is None:
                return Refusal.UNKNOWN
            if refusal := may_take(found, number):
                return refusal
            if number <= found.parts:
                there = await store.part_digest(tx, tenant, import_id, number)
                return found if there == digest else Refusal.OTHER_PART
            # Beside the event loop: a part can have a hundred thousand rows.
            taken = await asyncio.to_thread(self._taken, found, content)
            if isinstance(taken, Unreadable):
                return taken
            part = _sealed(found, taken, content, key=key, tenant=tenant, digest=digest)
            await store.add_part(tx, tenant, import_id, part)
            await store.save_import(tx, tenant, taken)
        return taken

    async def start(self, tenant: UUID, import_id: UUID) -> SubjectImport | Refusal:
        """Let the work begin."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.lock_import(tx, tenant, import_id)
            running = started(found, self.clock()) if found is not None else Refusal.UNKNOWN
            if isinstance(running, SubjectImport) and running != found:
                await store.save_import(tx, tenant, running)
        return running

    async def cancel(self, tenant: UUID, import_id: UUID) -> SubjectImport | Refusal:
        """Go no further with an import: what was done stays, what waits is erased."""
        now = self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.lock_import(tx, tenant, import_id)
            ended = cancelled(found, now) if found is not None else Refusal.UNKNOWN
            if isinstance(ended, Refusal) or ended == found:
                return ended
            await store.save_import(tx, tenant, ended)
            await store.erase_parts(tx, tenant, import_id, up_to_row=ended.received)
            if ended.counts.worked and not ended.dry_run:
                await announce_all(tx, [subjects_imported(tenant, ended, now=now)])
        return ended

    async def load(self, tenant: UUID, import_id: UUID) -> SubjectImport | Refusal:
        """Return an import as it is now."""
        async with tenant_transaction(self.pool, tenant) as tx:
            return await store.load_import(tx, tenant, import_id) or Refusal.UNKNOWN

    async def rows(
        self,
        tenant: UUID,
        import_id: UUID,
        *,
        outcome: RowOutcome | None,
        after: int,
        limit: int,
    ) -> list[store.RowReport] | Refusal:
        """Return what became of rows."""
        async with tenant_transaction(self.pool, tenant) as tx:
            if await store.load_import(tx, tenant, import_id) is None:
                return Refusal.UNKNOWN
            return await store.list_rows(
                tx, tenant, import_id, outcome=outcome, after=after, limit=limit
            )

    async def _new(self, caller: Caller, wanted: WantedImport) -> SubjectImport:
        now, digest = self.clock(), None
        if wanted.digest is not None:
            keys = await self.seals.keys(caller.tenant_id)
            digest = keys.content_digest("import file", wanted.digest.encode())
        return SubjectImport(
            import_id=new_id(),
            format=wanted.format,
            dry_run=wanted.dry_run,
            author=caller.key_id,
            created=now,
            touched=now,
            expected=wanted.rows,
            file_digest=digest,
        )

    def _taken(self, found: SubjectImport, content: bytes) -> SubjectImport | Unreadable:
        read = read_part(content, found.format, columns=found.columns, before=found.received)
        if isinstance(read, Unreadable):
            return read
        return with_part(found, read, size=len(content), now=self.clock())


def _sealed(
    before: SubjectImport,
    after: SubjectImport,
    content: bytes,
    *,
    key: DataKey,
    tenant: UUID,
    digest: bytes,
) -> Part:
    about, number = after.import_id, after.parts
    sealed = seal_part(key, content, tenant=tenant, import_id=about, number=number)
    return Part(number, before.received + 1, after.received, digest, sealed)
