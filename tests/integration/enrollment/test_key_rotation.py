"""Replacing keys: enrollments go on, and what was enrolled can still be claimed."""

from base64 import b32decode, b64decode
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from contracts.internal import Credential
from libs.postgres.pool import Connection
from libs.sealing.data_keys import DataKeys
from libs.sealing.key_file import FileProvider, read_key_file
from libs.sealing.rotation_store import Kind
from libs.sealing.trouble import KeyRetired
from services.enrollment.domain.places import SECRET
from services.enrollment.use_cases.sealed import SEALED
from tests.fixtures.rotating import (
    ask,
    rotation_of,
    rows_behind,
    unlisted_columns,
    with_small_portions,
    work_through,
)
from tests.fixtures.services import ServiceDatabase
from tests.integration.enrollment.world import World, running_world


@pytest.fixture
async def behind(world: World) -> AsyncIterator[Connection]:
    connection = await world.stored.superuser()
    yield connection
    await connection.close()


async def test_every_column_of_bytes_says_what_it_is(behind: Connection) -> None:
    assert await unlisted_columns(behind, "enrollment", SEALED) == []


@pytest.mark.fault("R29")
async def test_people_go_on_enrolling_under_new_keys(world: World, behind: Connection) -> None:
    application = await world.application()
    people = [world.person(application.tenant) for _ in range(5)]
    begun = [await world.start(application, one, name="My phone") for one in people[:3]]
    waiting = [await world.enroll(application, one, name="My phone") for one in people[3:]]
    await ask(behind, Kind.DATA, SEALED.purposes, application.tenant)

    await work_through(rotation_of(world.plumbing, with_small_portions(SEALED)))
    await world.plumbing.data_keys.close()

    assert await rows_behind(behind, SEALED, application.tenant) == 0
    with pytest.raises(KeyRetired):
        await DataKeys(world.plumbing.app_pool, world.plumbing.key_provider).version(
            tenant=application.tenant, purpose=SECRET, version=1
        )
    for one in begun:
        assert (await world.confirm(application, one, world.code(one))).status_code == 200
    for enrolled in waiting:
        claimed = await world.claim(enrolled, uuid4())
        assert isinstance(claimed, Credential)
        assert b64decode(claimed.secret) == b32decode(enrolled.secret)
    body = {"subject": people[4].name}
    found = await world.ask(application, "POST", "/v1/authenticators/search", body)
    assert [one["name"] for one in found.json()["authenticators"]] == ["My phone"]


async def test_a_repeated_confirmation_is_known_again_under_new_keys(
    world: World, behind: Connection
) -> None:
    application = await world.application()
    begun = await world.start(application, world.person(application.tenant))
    code = world.code(begun)
    first = await world.confirm(application, begun, code)
    await ask(behind, Kind.DATA, SEALED.purposes, application.tenant)

    await work_through(rotation_of(world.plumbing, SEALED))
    await world.plumbing.data_keys.close()

    again = await world.confirm(application, begun, code)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["authenticator_id"] == first.json()["authenticator_id"]


@pytest.mark.fault("R28")
async def test_nobody_enrolls_and_nothing_is_stored_without_the_provider_of_keys(
    stored: ServiceDatabase, tmp_path: Path
) -> None:
    gone = FileProvider(partial(read_key_file, tmp_path / "gone"))
    async with running_world(stored, provider=gone) as world:
        application = await world.application()
        person = world.person(application.tenant)
        body = {"subject": person.name, "factor": "totp", "name": "My phone"}

        answer = await world.ask(application, "POST", "/v1/enrollments", body)

        assert (answer.status_code, answer.json()["code"]) == (503, "keys_unavailable")
        started = "SELECT * FROM enrollment WHERE tenant_id = $1"
        assert await world.rows(started, application.tenant) == []
