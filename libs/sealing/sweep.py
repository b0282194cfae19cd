"""One look at the rows that a purpose's keys have sealed, sealing anew what an older one has."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import structlog

from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing import rotation_store as store
from libs.sealing.data_keys import DataKeys
from libs.sealing.providers import KeyProvider
from libs.sealing.rotation_store import Task
from libs.sealing.seal import DataKey, SealBroken, key_version, open_seal, seal
from libs.sealing.sealed_columns import Change, SealedColumn
from libs.sealing.sealed_rows import rows_behind, swap
from libs.sealing.trouble import KeyDestroyed

_LOG = structlog.get_logger("rotation")


@dataclass(frozen=True)
class Pace:
    """How long the steps take at least.

    `adopted_after` is twice KeyAges.newest.good: what was sealed in the last moment is stored by
    then. A rotation whose process died goes on after `lease`.
    """

    adopted_after: timedelta = timedelta(minutes=1)
    kept_for: timedelta = timedelta(days=7)
    lease: timedelta = timedelta(seconds=30)
    between_portions: timedelta = timedelta(milliseconds=10)
    again_after: timedelta = timedelta(seconds=1)
    look_every: timedelta = timedelta(seconds=2)
    trouble_for: timedelta = timedelta(seconds=10)
    look_at_retired_every: timedelta = timedelta(minutes=10)


@dataclass(frozen=True)
class Keyring:
    """The keys of one process, and both doors to its service's tables."""

    app_pool: Pool
    worker_pool: Pool
    data_keys: DataKeys
    provider: KeyProvider


class StoppedError(Exception):
    """The process is to stop; another one may go on at once."""


class Sweep:
    """One look at all rows of a purpose, sealing anew what an older version has sealed."""

    def __init__(self, keyring: Keyring, task: Task, pace: Pace, stop: asyncio.Event) -> None:
        if task.version is None:
            raise ValueError("a rotation that sweeps has a version")
        self._keyring = keyring
        self._task = task
        self._pace = pace
        self._stop = stop
        self._keys: dict[int, DataKey] = {}
        self.version = task.version
        self.trouble = "rows_locked"

    async def column(self, column: SealedColumn) -> int:
        """Return how many rows are left; somebody else has them, or they cannot be opened.

        Raises StoppedError where this process is to stop.
        """
        tenant, left = self._task.tenant, 0
        after: asyncpg.Record | None = None
        while True:
            async with tenant_transaction(self._keyring.app_pool, tenant) as tx:
                rows = await rows_behind(tx, tenant, column, version=self.version, after=after)
            if not rows:
                return left
            if self._stop.is_set():
                raise StoppedError
            changes = await self._changes(column, rows)
            moved = await self._save(column, changes) if changes else 0
            left, after = left + len(rows) - moved, rows[-1]
            pace = self._pace
            await store.renew(self._keyring.worker_pool, self._task, lease=pace.lease, moved=moved)
            await asyncio.sleep(pace.between_portions.total_seconds())

    async def _changes(
        self, column: SealedColumn, rows: Sequence[asyncpg.Record]
    ) -> Sequence[Change]:
        changes = []
        for row in rows:
            sealed: bytes = row["sealed_value"]
            place = column.place(self._task.tenant, row)
            try:
                secret = open_seal(await self._key(key_version(sealed)), sealed, place=place)
            except (SealBroken, KeyDestroyed):
                _LOG.error("a row cannot be opened", column=column.name)
                self.trouble = "rows_broken"
                continue
            newest = await self._key(self.version)
            changes.append(Change(row, sealed, seal(newest, secret, place=place)))
        return changes

    async def _save(self, column: SealedColumn, changes: Sequence[Change]) -> int:
        tenant = self._task.tenant
        if column.save is not None:
            return await column.save(tenant, changes)
        async with tenant_transaction(self._keyring.app_pool, tenant) as tx:
            return await swap(tx, tenant, column, changes)

    async def _key(self, version: int) -> DataKey:
        if version not in self._keys:
            self._keys[version] = await self._keyring.data_keys.also_retired(
                tenant=self._task.tenant, purpose=self._task.purpose, version=version
            )
        return self._keys[version]
