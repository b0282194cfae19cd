"""The work of imports: some hundreds of rows, their events and the progress in one commit."""

from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from libs.ids import new_id
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.sealing.seal import SealBroken
from libs.turns import in_turn
from services.policy.announcements import Announcement, subjects_imported
from services.policy.domain.import_decisions import decide
from services.policy.domain.imports import (
    Part,
    RowOutcome,
    State,
    SubjectImport,
    advanced,
)
from services.policy.domain.refusals import Unreadable
from services.policy.domain.subject_rows import Row, read_part, read_row
from services.policy.store import imports as store
from services.policy.store.announcements import announce_all
from services.policy.store.import_marks import add_marks, sweep_marks
from services.policy.store.subjects_at_once import find_subjects
from services.policy.use_cases.import_steps import (
    OvertakenError,
    Step,
    announced,
    known_of,
    marks_of,
    report_of,
    save_all,
)
from services.policy.use_cases.imports import Imports

_LOG = structlog.get_logger("imports")


@dataclass(frozen=True)
class Importing:
    """Works through imports; any number of processes may, one at a time is at each import.

    A step takes some 100 ms, in which its process does little else.
    """

    imports: Imports
    worker_pool: Pool
    rows_at_once: int = 500

    async def round(self) -> bool:
        """Do the next step of every import; False where there was nothing to do."""
        running = await store.running_imports(self.worker_pool)
        return any(await in_turn(partial(self._step_or_end, *one) for one in running))

    async def step(self, tenant: UUID, import_id: UUID) -> bool:
        """Do the next rows of one import; False where it has none, or somebody else is at it."""
        step = await self._prepared(tenant, import_id)
        if step is None:
            return False
        try:
            async with tenant_transaction(self.imports.pool, tenant) as tx:
                locked = await store.take_import(tx, tenant, import_id)
                if locked is None or locked.counts != step.found.counts:
                    return False
                if locked.state is not State.RUNNING:
                    return False
                done = await self._done(tx, step)
        except (OvertakenError, asyncpg.UniqueViolationError):
            # Nothing was written; what somebody else has written is seen the next time.
            return True
        if done.state is State.FINISHED:
            await self.sweep(tenant, import_id)
        return True

    async def sweep(self, tenant: UUID, import_id: UUID) -> None:
        """Forget whom an import that is over has come across."""
        swept = True
        while swept:
            async with tenant_transaction(self.imports.pool, tenant) as tx:
                swept = bool(await sweep_marks(tx, tenant, import_id))

    async def _step_or_end(self, tenant: UUID, import_id: UUID) -> bool:
        try:
            return await self.step(tenant, import_id)
        except SealBroken:
            # It would be so for ever, and the other imports shall not wait for it.
            _LOG.error("an import cannot be opened", import_id=str(import_id))
            await self.imports.cancel(tenant, import_id)
            return False

    async def _prepared(self, tenant: UUID, import_id: UUID) -> Step | None:
        async with tenant_transaction(self.imports.pool, tenant) as tx:
            found = await store.load_import(tx, tenant, import_id)
            if found is None or found.state is not State.RUNNING:
                return None
            first = found.counts.worked + 1
            part = await store.part_with_row(tx, tenant, import_id, first)
        if part is None and first <= found.received:
            raise SealBroken("a part that waits is gone")
        rows = await self._rows(tenant, found, part) if part is not None else []
        found = replace(found, touched=self.imports.clock())
        step = Step(tenant, found, rows, await self.imports.seals.keys(tenant))
        async with tenant_transaction(self.imports.pool, tenant) as tx:
            seen = await find_subjects(tx, tenant, list(step.subject_digests()))
        return replace(step, keys=await self.imports.seals.keys(tenant, seen))

    async def _rows(self, tenant: UUID, found: SubjectImport, part: Part) -> list[Row]:
        content = await self.imports.parts.open(
            tenant, found.import_id, number=part.number, sealed=part.sealed
        )
        header = () if part.number == 1 else found.columns
        read = read_part(content, found.format, columns=header, before=part.first_row - 1)
        if isinstance(read, Unreadable):
            raise SealBroken("a part that could be read cannot be read any more")
        first = found.counts.worked + 1
        begin = first - part.first_row
        some = read.rows[begin : begin + self.rows_at_once]
        return [
            read_row(row, number, columns=found.columns)
            for number, row in enumerate(some, start=first)
        ]

    async def _done(self, tx: Connection, step: Step) -> SubjectImport:
        tenant, about, now = step.tenant, step.found.import_id, step.found.touched
        known = await known_of(tx, step)
        fresh = [new_id() for _ in step.rows]
        decided = decide(step.rows, known, fresh=fresh, now=now)
        outcomes = {kind: sum(one.outcome is kind for one in decided) for kind in RowOutcome}
        after = advanced(step.found, outcomes, now=now)
        said: list[Announcement] = []
        if not after.dry_run:
            await save_all(tx, step, decided)
            said += announced(step, decided)
            if after.state is State.FINISHED:
                said.append(subjects_imported(tenant, after, now=now))
        await add_marks(tx, tenant, about, marks_of(step, decided))
        await store.add_rows(tx, tenant, about, [report_of(step, one) for one in decided])
        await store.save_import(tx, tenant, after)
        await store.erase_parts(tx, tenant, about, up_to_row=after.counts.worked)
        await announce_all(tx, said)
        return after
