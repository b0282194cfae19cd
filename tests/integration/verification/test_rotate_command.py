"""`watchword keys`, run as operators run it, on the database of a running verification."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.verification.use_cases.sealed import sealed_by
from tests.fixtures.rotating import AT_ONCE, rotation_of
from tests.fixtures.services import ROOT
from tests.integration.verification.conftest import World

WATCHWORD = str(Path(sys.executable).parent / "watchword")


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int | None
    out: str
    error: str

    @property
    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def keys(world: World, *arguments: str) -> Said:
    """Run the command in a process of its own."""
    process = await started(world, *arguments)
    async with asyncio.timeout(60):
        out, error = await process.communicate()
    return Said(process.returncode, out.decode(), error.decode())


async def started(world: World, *arguments: str) -> asyncio.subprocess.Process:
    """Start the command."""
    dsn = world.stored.dsn("verification_owner")
    return await asyncio.create_subprocess_exec(
        *(WATCHWORD, "keys", *arguments, "--from-environment"),
        cwd=ROOT,
        env={**os.environ, "WATCHWORD_VERIFICATION_OWNER_DSN": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def working(world: World) -> AsyncIterator[None]:
    """Verification's part that rotates keys, beside the test."""
    stop = asyncio.Event()
    sealed = sealed_by(world.plumbing.app_pool, world.cache)
    running = asyncio.create_task(rotation_of(world.plumbing, sealed, AT_ONCE).run(stop))
    yield
    stop.set()
    await running


async def _published(world: World) -> None:
    async with asyncio.timeout(10):
        while True:
            if await world.rows("SELECT * FROM key_purpose"):
                return
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("working")
async def test_keys_are_planned_replaced_and_listed(world: World) -> None:
    application = await world.application()
    people = [await world.person(application.tenant) for _ in range(3)]
    await _published(world)

    planned = await keys(world, "rotate", "--plan", "--json")
    wrapped = await keys(world, "rotate", "--kek", "--json")
    rotated = await keys(world, "rotate", "--json")
    listed = await keys(world, "list", "--json")

    assert [(row["purpose"], row["rows"], bool(row["kept"])) for row in planned.rows] == [
        ("credential", 3, False),
        ("subject lookup", None, True),
    ]
    ended = {row["purpose"]: row["done"] for row in wrapped.rows}
    assert ended == {"credential": 1, "subject lookup": 1}
    assert rotated.rows[-1] == {
        "service": "verification",
        "purpose": "credential",
        "tenants": 1,
        "done": 1,
        "replaced": 3,
        "steps": [],
        "troubles": [],
    }
    seen = [(row["purpose"], row["version"], row["retired"], row["rows"]) for row in listed.rows]
    assert seen == [
        ("credential", 1, True, 0),
        ("credential", 2, False, 3),
        ("subject lookup", 1, False, None),
    ]
    for person in people:
        assert (await world.verify(application, person, world.code(person))).status_code == 200


async def test_the_same_command_looks_on_at_what_is_under_way(world: World) -> None:
    application = await world.application()
    await world.person(application.tenant)
    sealed = sealed_by(world.plumbing.app_pool, world.cache)
    # It says what it seals, and is gone before anybody asks.
    publisher = rotation_of(world.plumbing, sealed)
    going = asyncio.Event()
    first = asyncio.create_task(publisher.run(going))
    await _published(world)
    going.set()
    await first
    first_asker = await started(world, "rotate")
    async with asyncio.timeout(30):
        while True:
            if await world.rows("SELECT * FROM key_rotation"):
                break
            await asyncio.sleep(0.01)
    first_asker.send_signal(signal.SIGINT)
    _, last_words = await first_asker.communicate()

    again = await started(world, "rotate")
    assert again.stderr is not None
    said = await again.stderr.readline()
    last = asyncio.Event()
    working = asyncio.create_task(publisher.run(last))
    await again.communicate()
    last.set()
    await working

    assert (first_asker.returncode, b"the services go on" in last_words) == (130, True)
    assert (again.returncode, b"under way already" in said) == (0, True)
    versions = await world.rows("SELECT max(version) AS v FROM data_key")
    assert versions == [{"v": 2}]


async def test_without_a_database_it_says_what_is_missing() -> None:
    process = await asyncio.create_subprocess_exec(
        *(WATCHWORD, "keys", "list", "--from-environment"),
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("WATCHWORD_")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()

    assert (process.returncode, "OWNER_DSN" in error.decode()) == (1, True)
