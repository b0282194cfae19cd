"""Replacing keys: nothing is lost, whatever happens meanwhile, and nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from libs.postgres.pool import Connection, tenant_transaction
from libs.sealing.data_keys import DEPLOYMENT, DataKeys
from libs.sealing.key_file import FileProvider, KeyFile
from libs.sealing.rotation_store import Kind
from libs.sealing.sealed_columns import Change, Sealed
from libs.sealing.trouble import KeyRefused, KeyRetired
from services.verification.domain.places import CREDENTIAL, RECEIPT_KEY, RECOVERY_CODES
from services.verification.reserve import Cache, open_redis
from services.verification.store import subjects as store
from services.verification.use_cases.sealed import sealed_by
from tests.fixtures.rotating import (
    AT_ONCE,
    ask,
    rotation_of,
    rows_behind,
    states,
    unlisted_columns,
    with_small_portions,
    work_through,
)
from tests.integration.verification.conftest import World
from tests.integration.verification.factors import ALL, CODES, with_codes

OLD, BOTH = KeyFile({1: b"k" * 32}), KeyFile({1: b"k" * 32, 2: b"n" * 32})


@dataclass(frozen=True)
class Rotating:
    """A running verification, what it seals, and a look behind the wall."""

    world: World
    sealed: Sealed
    behind: Connection

    async def ask(self, kind: Kind = Kind.DATA) -> None:
        purposes = self.sealed.purposes
        if kind is Kind.WRAPPING:
            purposes = [*purposes, *(one.purpose for one in self.sealed.kept)]
        await ask(self.behind, kind, purposes)

    async def left(self) -> int:
        return await rows_behind(self.behind, self.sealed)


@pytest.fixture
async def rotating(world: World) -> AsyncIterator[Rotating]:
    sealed = sealed_by(world.plumbing.app_pool, world.cache)
    behind = await world.stored.superuser()
    yield Rotating(world, sealed, behind)
    await behind.close()


def fresh_keys(world: World) -> DataKeys:
    """Return the keys of a process that has just begun."""
    return DataKeys(world.plumbing.app_pool, world.plumbing.key_provider)


async def test_every_column_of_bytes_says_what_it_is(rotating: Rotating) -> None:
    assert await unlisted_columns(rotating.behind, "verification", rotating.sealed) == []


async def test_every_purpose_that_has_a_key_says_what_becomes_of_it(rotating: Rotating) -> None:
    world = rotating.world
    application = await world.application(factors=ALL)
    person = await world.person(application.tenant)
    await with_codes(world, person)
    await world.parts.receipts.keys()
    await world.verify(application, person, world.code(person))

    purposes = {row["purpose"] for row in await rotating.behind.fetch("SELECT * FROM data_key")}

    listed = {*rotating.sealed.purposes, *(one.purpose for one in rotating.sealed.kept)}
    assert purposes >= {CREDENTIAL, RECEIPT_KEY, RECOVERY_CODES}
    assert purposes <= listed


@pytest.mark.fault("R29")
async def test_new_data_keys_seal_everything_and_the_old_ones_open_nothing(
    rotating: Rotating,
) -> None:
    world = rotating.world
    application = await world.application(factors=ALL)
    people = [await world.person(application.tenant) for _ in range(5)]
    await with_codes(world, people[0])
    before = await world.parts.receipts.keys()
    await rotating.ask()

    await work_through(rotation_of(world.plumbing, with_small_portions(rotating.sealed)))

    assert await rotating.left() == 0
    assert await states(rotating.behind) == [(CREDENTIAL, "retired"), (RECEIPT_KEY, "retired")]
    for tenant, purpose in ((application.tenant, CREDENTIAL), (DEPLOYMENT, RECEIPT_KEY)):
        with pytest.raises(KeyRetired):
            await fresh_keys(world).version(tenant=tenant, purpose=purpose, version=1)
    for person in people:
        assert (await world.verify(application, person, world.code(person))).status_code == 200
    assert (await world.verify(application, people[0], CODES[1])).status_code == 200
    after = await world.parts.receipts._read()
    assert [one.key_id for one in after] == [one.key_id for one in before]


@pytest.mark.fault("R29")
async def test_a_new_key_file_version_wraps_all_keys_and_the_old_one_can_go(
    rotating: Rotating,
) -> None:
    world = rotating.world
    application = await world.application()
    person = await world.person(application.tenant)
    plumbing = replace(world.plumbing, key_provider=FileProvider(lambda: BOTH))
    await rotating.ask(Kind.WRAPPING)

    await work_through(rotation_of(plumbing, rotating.sealed))

    assert {state for _, state in await states(rotating.behind)} == {"done"}
    versions = await rotating.behind.fetch("SELECT DISTINCT kek_version FROM data_key")
    assert [row[0] for row in versions] == [2]
    only_new = FileProvider(lambda: KeyFile({2: b"n" * 32}))
    keys = DataKeys(world.plumbing.app_pool, only_new)
    assert await keys.version(tenant=person.tenant, purpose=CREDENTIAL, version=1)
    with pytest.raises(KeyRefused):
        await DataKeys(world.plumbing.app_pool, FileProvider(lambda: OLD)).version(
            tenant=person.tenant, purpose=CREDENTIAL, version=1
        )


@pytest.mark.fault("R29")
@pytest.mark.parametrize("kind", list(Kind))
async def test_a_rotation_that_is_killed_anywhere_goes_on(rotating: Rotating, kind: Kind) -> None:
    world = rotating.world
    application = await world.application()
    people = [await world.person(application.tenant) for _ in range(6)]
    plumbing = world.plumbing
    if kind is Kind.WRAPPING:
        plumbing = replace(plumbing, key_provider=FileProvider(lambda: BOTH))
    small = with_small_portions(rotating.sealed)
    await rotating.ask(kind)
    finished = "done" if kind is Kind.WRAPPING else "retired"
    killed = 0

    while {state for _, state in await states(rotating.behind)} != {finished}:
        working = asyncio.create_task(work_through(rotation_of(plumbing, small)))
        # Each time a few turns of the event loop later: another place of another step.
        for _ in range(5 + 3 * killed):
            await asyncio.sleep(0)
        killed += not working.done()
        assert killed < 1_000, await states(rotating.behind)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await rotating.behind.execute(
            "UPDATE key_rotation SET due = now() WHERE state <> $1", finished
        )

    assert killed > 10
    assert await rotating.left() == 0
    for person in people:
        assert (await world.verify(application, person, world.code(person))).status_code == 200


@pytest.mark.fault("R29")
async def test_what_changes_meanwhile_is_never_overwritten(rotating: Rotating) -> None:
    world = rotating.world
    application = await world.application()
    removed, kept = [await world.person(application.tenant) for _ in range(2)]
    credentials = rotating.sealed.columns[0]
    assert credentials.save is not None
    save = credentials.save

    async def late(tenant: UUID, changes: Sequence[Change]) -> int:
        async with tenant_transaction(world.plumbing.app_pool, tenant) as tx:
            await store.lock_subject(tx, tenant, removed.subject_ref)
            await store.bury_all(tx, removed.subject_ref)
        return await save(tenant, changes)

    sealed = Sealed([replace(credentials, save=late)])
    await rotating.ask()
    await work_through(rotation_of(world.plumbing, sealed))

    rows = await world.rows(
        "SELECT status, sealed FROM authenticator WHERE id = $1", removed.authenticator_id
    )
    assert rows == [{"status": "removed", "sealed": None}]
    assert await rotating.left() == 0
    assert (await world.verify(application, removed, world.code(removed))).status_code == 403
    assert (await world.verify(application, kept, world.code(kept))).status_code == 200


@pytest.mark.fault("R29")
async def test_a_row_that_somebody_has_locked_is_waited_for_and_delays_nobody(
    rotating: Rotating,
) -> None:
    world = rotating.world
    application = await world.application()
    locked, free = [await world.person(application.tenant) for _ in range(2)]
    rotation = rotation_of(world.plumbing, rotating.sealed)
    await ask(rotating.behind, Kind.DATA, [CREDENTIAL])

    async with tenant_transaction(world.plumbing.app_pool, application.tenant) as tx:
        await store.lock_subject(tx, application.tenant, locked.subject_ref)
        for _ in range(3):
            await rotation.round()
        assert await rotating.left() == 1
        assert (await world.verify(application, free, world.code(free))).status_code == 200
        waits = await rotating.behind.fetch("SELECT state, trouble FROM key_rotation")
        assert [tuple(row) for row in waits] == [("sweeping", "rows_locked")]

    await rotating.behind.execute("UPDATE key_rotation SET due = now()")
    await work_through(rotation)
    assert await rotating.left() == 0
    assert await states(rotating.behind) == [(CREDENTIAL, "retired")]


@pytest.mark.fault("R29")
async def test_a_copy_in_redis_that_needs_a_retired_key_is_read_again(
    rotating: Rotating, tmp_path: Path
) -> None:
    world = rotating.world
    application = await world.application()
    person = await world.person(application.tenant)
    await world.verify(application, person, world.code(person, steps=-1))
    nowhere = open_redis("redis://127.0.0.1:9", timeout=timedelta(milliseconds=50))
    lost = sealed_by(
        world.plumbing.app_pool, Cache(nowhere, world.parts.door.verify.guesses._budget)
    )
    await rotating.ask()

    await work_through(rotation_of(world.plumbing, lost))
    # As in a process that has heard of the retirement.
    await world.plumbing.data_keys.close()
    answer = await world.verify(application, person, world.code(person))

    assert answer.status_code == 200
    await nowhere.aclose()


@pytest.mark.fault("R29")
async def test_what_a_sleeping_process_stores_too_late_is_sealed_anew(rotating: Rotating) -> None:
    world = rotating.world
    application = await world.application()
    await world.person(application.tenant)
    # This process still believes in version 1.
    await world.plumbing.data_keys.newest(tenant=application.tenant, purpose=CREDENTIAL)
    rotation = rotation_of(world.plumbing, rotating.sealed)
    await rotating.ask()
    await work_through(rotation)
    late = await world.person(application.tenant)
    assert await rotating.left() == 1

    await rotating.behind.execute("UPDATE key_rotation SET due = now()")
    await work_through(rotation)

    assert await rotating.left() == 0
    assert (await world.verify(application, late, world.code(late))).status_code == 200


async def test_old_keys_are_destroyed_when_nothing_has_needed_them_for_long_enough(
    rotating: Rotating,
) -> None:
    world = rotating.world
    application = await world.application()
    person = await world.person(application.tenant)
    rotation = rotation_of(world.plumbing, rotating.sealed)
    await rotating.ask()
    await work_through(rotation)
    versions = "SELECT version FROM data_key WHERE purpose = $1 ORDER BY 1"
    assert len(await rotating.behind.fetch(versions, CREDENTIAL)) == 2

    await rotating.behind.execute(
        "UPDATE data_key SET retired = retired - $1::interval", AT_ONCE.kept_for
    )
    await rotating.behind.execute("UPDATE key_rotation SET due = now()")
    await work_through(rotation)

    assert [row[0] for row in await rotating.behind.fetch(versions, CREDENTIAL)] == [2]
    assert await states(rotating.behind) == [(CREDENTIAL, "done")]
    assert (await world.verify(application, person, world.code(person))).status_code == 200


async def test_a_row_that_cannot_be_opened_keeps_the_old_key(rotating: Rotating) -> None:
    world = rotating.world
    application = await world.application()
    await world.person(application.tenant)
    broken = await world.person(application.tenant)
    await rotating.behind.execute(
        "UPDATE authenticator SET sealed = set_byte(sealed, 20, (get_byte(sealed, 20) + 1) % 256)"
        " WHERE id = $1",
        broken.authenticator_id,
    )
    rotation = rotation_of(world.plumbing, rotating.sealed)
    await rotating.ask()

    for _ in range(3):
        await rotation.round()

    waits = await rotating.behind.fetch("SELECT state, trouble FROM key_rotation")
    assert [tuple(row) for row in waits] == [("sweeping", "rows_broken")]
    assert await rotating.left() == 1
    keys = fresh_keys(world)
    assert await keys.version(tenant=application.tenant, purpose=CREDENTIAL, version=1)
