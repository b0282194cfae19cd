"""R29: keys are replaced at full load, by workers that die all the time; nobody notices."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from libs.sealing.data_keys import DataKeys
from libs.sealing.key_file import FileProvider, read_key_file, write_key_file
from libs.sealing.rotation_store import Kind
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.rotation_runs import AGES, rotation_run


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

    numbers = await rotation_run(
        world, file, people=30, kinds=(Kind.DATA, Kind.WRAPPING, Kind.DATA)
    )

    assert numbers["logins"] > 300
    assert numbers["workers_killed"] > 5
    assert numbers["logins_failed"] == 0
    assert numbers["rows_left_on_old_keys"] == 0
    assert numbers["retired_keys_that_open"] == 0
    wrapped = await world.rows(
        "SELECT DISTINCT kek_version AS v FROM data_key WHERE retired IS NULL"
    )
    assert wrapped == [{"v": 2}]
    newest = await world.rows("SELECT max(version) AS v FROM data_key")
    assert newest == [{"v": 3}]
