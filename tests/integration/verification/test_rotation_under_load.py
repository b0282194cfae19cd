"""R29: keys are replaced at full load, by workers that die all the time; nobody notices."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from libs.sealing.data_keys import DataKeys, KeyAges
from libs.sealing.kept import Ages
from libs.sealing.key_file import FileProvider, add_key, read_key_file, write_key_file
from libs.sealing.rotation_store import Kind
from libs.sealing.trouble import KeyRetired
from services.verification.domain.places import CREDENTIAL
from services.verification.use_cases.sealed import sealed_by
from tests.fixtures.rotating import AT_ONCE, rotation_of, with_small_portions
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.rotation_runs import Killings, Load, ask_for, finished

PEOPLE = 40
# As in the product, a hundred times as fast.
AGES = KeyAges(
    open=Ages(timedelta(seconds=3), timedelta(seconds=9)),
    newest=Ages(timedelta(seconds=0.1), timedelta(seconds=0.3)),
)
PACE = replace(AT_ONCE, adopted_after=timedelta(seconds=0.6), lease=timedelta(seconds=0.1))


@pytest.fixture
async def loaded(
    servers: RunningServers, service_database: MakeDatabase, tmp_path: Path
) -> AsyncIterator[tuple[World, Path]]:
    file = tmp_path / "keys"
    write_key_file(file)
    stored = await service_database("verification")
    opened = running_world(
        stored,
        servers.valkey_url,
        tmp_path,
        patience=timedelta(seconds=10),
        provider=FileProvider(partial(read_key_file, file)),
        keys=partial(DataKeys, ages=AGES),
    )
    async with opened as world:
        yield world, file


@pytest.mark.fault("R29")
async def test_no_login_fails_while_all_keys_are_replaced(loaded: tuple[World, Path]) -> None:
    world, file = loaded
    application = await world.application()
    people = [await world.person(application.tenant) for _ in range(PEOPLE)]
    sealed = sealed_by(world.plumbing.app_pool, world.cache)
    small = with_small_portions(sealed)
    killings = Killings([rotation_of(world.plumbing, small, PACE) for _ in range(3)], seed=29)
    load, stop = Load(world, application, people), asyncio.Event()
    killing = asyncio.create_task(killings.run(stop))
    loading = asyncio.create_task(load.run(stop))

    for kind in (Kind.DATA, Kind.WRAPPING, Kind.DATA):
        if kind is Kind.WRAPPING:
            add_key(file)
        before = load.answers.total()
        await ask_for(world, sealed, kind)
        await finished(world, sealed)
        assert load.answers.total() > before
    stop.set()
    await asyncio.gather(killing, loading)

    assert set(load.answers) == {"200"}
    assert load.answers.total() > 5 * PEOPLE
    assert killings.killed > 5
    versions = await world.rows(
        "SELECT DISTINCT kek_version AS v FROM data_key WHERE retired IS NULL"
    )
    assert versions == [{"v": 2}]
    keys = DataKeys(world.plumbing.app_pool, world.plumbing.key_provider)
    for version in (1, 2):
        with pytest.raises(KeyRetired):
            await keys.version(tenant=application.tenant, purpose=CREDENTIAL, version=version)
    assert (await keys.newest(tenant=application.tenant, purpose=CREDENTIAL)).version == 3
