"""Replaces keys while everything runs: the wrapping of data keys, and data keys themselves.

A data key is replaced in steps, each of which can be begun again (docs/adr/0023):

    asked     a new version is added
    adopting  until every process seals with it (libs/sealing/data_keys.py, KeyAges)
    sweeping  what older versions have sealed is sealed anew, until a whole look finds nothing
    retired   older versions open nothing any more; kept for a while, in case something turns up
    done      older versions are destroyed
"""

import asyncio
import secrets
from datetime import timedelta

import structlog

from libs.postgres.line import FAILURES
from libs.postgres.pool import tenant_transaction
from libs.sealing import rotation_store as store
from libs.sealing import stored_keys
from libs.sealing.data_keys import key_place
from libs.sealing.rotation_store import Kind, OvertakenError, State, Task
from libs.sealing.seal import KEY_LENGTH
from libs.sealing.sealed_columns import Sealed
from libs.sealing.sealed_rows import is_any_behind
from libs.sealing.sweep import Keyring, Pace, StoppedError, Sweep
from libs.sealing.trouble import KeyTrouble

_LOG = structlog.get_logger("rotation")


class Rotation:
    """Works through the rotations of one service; any number of processes may at once."""

    def __init__(self, keyring: Keyring, sealed: Sealed, pace: Pace | None = None) -> None:
        self._keyring = keyring
        self._sealed = sealed
        self._pace = pace or Pace()
        self._stop = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Say what is sealed, then work until asked to stop (a part of the process)."""
        published, self._stop = False, stop
        while not stop.is_set():
            worked = False
            try:
                if not published:
                    await store.publish(self._keyring.worker_pool, self._sealed)
                    published = True
                worked = await self.round()
            except FAILURES as error:
                _LOG.warning("keys are not rotated now", exception=type(error).__name__)
            if not worked:
                await _pause(stop, self._pace.look_every)

    async def round(self) -> bool:
        """Do the next step of a rotation; False where none is due."""
        pool = self._keyring.worker_pool
        task = await store.take_due(pool, lease=self._pace.lease)
        if task is None:
            return False
        try:
            await self._step(task)
        except KeyTrouble as error:
            _LOG.warning("a rotation waits", purpose=task.purpose, code=error.code)
            await store.wait(pool, task, after=self._pace.trouble_for, trouble=error.code)
        except StoppedError:
            await store.wait(pool, task, after=timedelta(0), trouble=None)
        except OvertakenError:
            _LOG.info("another process goes on with a rotation", purpose=task.purpose)
        return True

    async def _step(self, task: Task) -> None:
        if task.kind is Kind.DATA and await self._is_destroyed(task):
            # There is nothing left that could be opened, or is to be.
            await store.go_on(self._keyring.worker_pool, task, State.DONE)
            return
        match task.kind, task.state:
            case Kind.WRAPPING, _:
                await self._wrap_again(task)
            case Kind.DATA, State.ASKED:
                await self._add_version(task)
            case Kind.DATA, State.ADOPTING:
                await store.go_on(self._keyring.worker_pool, task, State.SWEEPING)
            case Kind.DATA, State.SWEEPING:
                await self._sweep_and_retire(task)
            case _:
                await self._look_after_retired(task)

    async def _is_destroyed(self, task: Task) -> bool:
        async with tenant_transaction(self._keyring.app_pool, task.tenant) as tx:
            newest = await stored_keys.newest_version(tx, task.tenant, task.purpose)
        return newest is None

    async def _wrap_again(self, task: Task) -> None:
        keys, provider = self._keyring, self._keyring.provider
        newest = (provider.name, await provider.newest_version())
        async with tenant_transaction(keys.app_pool, task.tenant) as tx:
            stored = await stored_keys.keys_of(tx, task.tenant, task.purpose)
        for one in stored:
            if (one.wrapped.provider, one.wrapped.version) == newest:
                continue
            place = key_place(task.tenant, task.purpose, one.version)
            opened = await provider.unwrap(one.wrapped, place=place)
            wrapped = await provider.wrap(opened, place=place)
            async with tenant_transaction(keys.app_pool, task.tenant) as tx:
                await stored_keys.wrap_again(
                    tx,
                    task.tenant,
                    task.purpose,
                    version=one.version,
                    old=one.wrapped,
                    new=wrapped,
                )
            await store.renew(keys.worker_pool, task, lease=self._pace.lease, moved=1)
        await self._end_wrapping(task, newest)

    async def _end_wrapping(self, task: Task, newest: tuple[str, int]) -> None:
        async with tenant_transaction(self._keyring.app_pool, task.tenant) as tx:
            await store.hold(tx, task)
            stored = await stored_keys.keys_of(tx, task.tenant, task.purpose)
            # A key may have been added meanwhile, by a process that knew the provider of before.
            left = any((one.wrapped.provider, one.wrapped.version) != newest for one in stored)
            await store.go_on(tx, task, State.ASKED if left else State.DONE)

    async def _add_version(self, task: Task) -> None:
        keys, tenant, purpose = self._keyring, task.tenant, task.purpose
        async with tenant_transaction(keys.app_pool, tenant) as tx:
            newest = await stored_keys.newest_version(tx, tenant, purpose)
        if newest is None or not self._sealed.of(purpose):
            # Nothing was ever sealed, or what these keys make cannot be made again.
            await store.go_on(keys.worker_pool, task, State.DONE)
            return
        version, key = newest + 1, secrets.token_bytes(KEY_LENGTH)
        wrapped = await keys.provider.wrap(key, place=key_place(tenant, purpose, version))
        async with tenant_transaction(keys.app_pool, tenant) as tx:
            await store.hold(tx, task)
            if await stored_keys.newest_version(tx, tenant, purpose) != newest:
                # Destroyed meanwhile: it is to be so for good.
                raise OvertakenError
            await stored_keys.add_version(tx, tenant, purpose, version=version, wrapped=wrapped)
            after = self._pace.adopted_after
            await store.go_on(tx, task, State.ADOPTING, after=after, version=version)

    async def _sweep_and_retire(self, task: Task) -> None:
        if not await self._is_swept(task):
            return
        async with tenant_transaction(self._keyring.app_pool, task.tenant) as tx:
            await store.hold(tx, task)
            for one in self._sealed.of(task.purpose):
                if await is_any_behind(tx, task.tenant, one, version=task.version or 0):
                    await store.go_on(tx, task, State.SWEEPING)
                    return
            await store.retire(tx, task)
            await store.go_on(tx, task, State.RETIRED, after=self._pace.look_at_retired_every)
        _LOG.info("a key was replaced", purpose=task.purpose, version=task.version)

    async def _look_after_retired(self, task: Task) -> None:
        """Seal anew what a process stored too late; destroy the old versions when it is time."""
        if not await self._is_swept(task):
            return
        async with tenant_transaction(self._keyring.app_pool, task.tenant) as tx:
            await store.hold(tx, task)
            gone = await store.destroy(tx, task, retired_for=self._pace.kept_for)
            after = self._pace.look_at_retired_every
            await store.go_on(tx, task, State.DONE if gone else State.RETIRED, after=after)

    async def _is_swept(self, task: Task) -> bool:
        """Look at all rows once; what is left waits for the next look."""
        sweep = Sweep(self._keyring, task, self._pace, self._stop)
        left = sum([await sweep.column(one) for one in self._sealed.of(task.purpose)])
        if left:
            pool, after = self._keyring.worker_pool, self._pace.again_after
            await store.wait(pool, task, after=after, trouble=sweep.trouble)
        return not left


async def _pause(stop: asyncio.Event, wait: timedelta) -> None:
    try:
        await asyncio.wait_for(stop.wait(), wait.total_seconds())
    except TimeoutError:
        return
