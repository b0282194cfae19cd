"""A node whose clock is wrong judges nothing, says so, and comes back by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from libs.postgres.pool import tenant_transaction
from services.verification.domain.clock import TOLERANCE
from services.verification.entries import Settled
from services.verification.settle import ClockOff
from tests.fixtures.servers import RunningServers
from tests.integration.messaging.bench import until
from tests.integration.verification import clock_runs
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.remembering import remembered
from tests.integration.verification.test_one_acceptance import broken
from tests.integration.verification.test_settler import failure_of, settler_on

Record = Callable[[str, object], None]


@asynccontextmanager
async def strict(world: World, servers: RunningServers, folder: Path) -> AsyncIterator[World]:
    """Run another node on the same database, whose clock has to be right."""
    async with running_world(
        world.stored, servers.valkey_url, folder, clock_tolerance=TOLERANCE
    ) as node:
        yield node


@pytest.mark.fault("R27")
@pytest.mark.parametrize(
    ("seconds", "judged"),
    [(0, True), (1.5, True), (-1.5, True), (3, False), (-8, False), (600, False), (-3600, False)],
)
async def test_settle_takes_nothing_from_a_wrong_clock(
    world: World, seconds: float, judged: bool
) -> None:
    person = await world.person(uuid4())
    settler, over = settler_on(world.stored.dsn("verification_settle")), asyncio.Event()
    over.set()
    entry = await failure_of(world, person)
    entry = replace(entry, now=datetime.now(UTC) + timedelta(seconds=seconds))

    [end] = await asyncio.gather(settler.settle(entry), return_exceptions=True)
    await settler.run(over)

    assert isinstance(end, Settled if judged else ClockOff)
    failed = (await world.events(person)).count("mfa.verification_failed")
    assert failed == judged


@pytest.mark.fault("R27")
async def test_a_node_whose_clock_is_off_takes_itself_out_and_comes_back(
    world: World, servers: RunningServers, tmp_path: Path
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    async with strict(world, servers, tmp_path) as node:
        node.clock.offset = timedelta(minutes=10)
        await until(lambda: is_ready(node, ready=False), within=5)
        refused = await node.verify(application, person, node.code(person))
        decided = await node.public.post(
            "/v1/decisions",
            json={"subject": person.name, "device": "any"},
            headers={"Authorization": f"Bearer {application.key}"},
        )
        elsewhere = await world.verify(application, person, world.code(person))
        node.clock.offset = timedelta()
        await until(lambda: is_ready(node, ready=True), within=5)
        back = await node.verify(application, person, node.code(person, steps=1))

    for answer in (refused, decided):
        assert (answer.status_code, answer.json()["code"]) == (503, "clock_off")
        assert answer.headers["retry-after"] == "1"
    assert (elsewhere.status_code, back.status_code) == (200, 200)
    assert (await world.events(person)).count("mfa.verification_failed") == 0


@pytest.mark.fault("R27")
async def test_a_guess_that_a_wrong_clock_could_not_judge_is_not_charged(
    world: World, servers: RunningServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    async with strict(world, servers, tmp_path) as node:
        # The moment before the watch notices.
        monkeypatch.setattr(type(node.parts.watch), "clock_is_off", False)
        node.clock.offset = timedelta(hours=-1)
        codes = [node.code(person), *[node.wrong_code(person)] * 20]
        answers = [await node.verify(application, person, code) for code in codes]

    assert {answer.json()["code"] for answer in answers} == {"clock_off"}
    assert (await world.verify(application, person, world.code(person))).status_code == 200


@pytest.mark.fault("R27")
async def test_a_clock_that_is_behind_remembers_no_device_for_longer(
    world: World, servers: RunningServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application, person, token = await remembered(world)
    async with tenant_transaction(world.plumbing.app_pool, application.tenant) as tx:
        await tx.execute("UPDATE device SET expires = now() - interval '1 minute'")
    async with strict(world, servers, tmp_path) as node:
        monkeypatch.setattr(type(node.parts.watch), "clock_is_off", False)
        node.clock.offset = timedelta(minutes=-10)
        answer = await node.public.post(
            "/v1/decisions",
            json={"subject": person.name, "device": token},
            headers={"Authorization": f"Bearer {application.key}"},
        )

    assert (answer.status_code, answer.json()["decision"]) == (200, "challenge")


@pytest.mark.fault("R27")
async def test_a_wrong_clock_accepts_nothing_outside_its_window(
    world: World, servers: RunningServers, tmp_path: Path, record_property: Record
) -> None:
    async with strict(world, servers, tmp_path) as node:
        numbers = await clock_runs.skew_run(world, node, skews=clock_runs.SKEWS, people=3)

    record_property("numbers", numbers)
    assert min(numbers["answers_503"], numbers["accepted"]) > 0
    assert broken(numbers) == {}, numbers


@pytest.mark.fault("R27")
async def test_a_clock_that_leaps_accepts_nothing_twice(
    world: World, servers: RunningServers, tmp_path: Path, record_property: Record
) -> None:
    async with strict(world, servers, tmp_path) as node:
        numbers = await clock_runs.leap_run(world, node, leaps=6, people=2)

    record_property("numbers", numbers)
    assert numbers["accepted"] > 0
    assert broken(numbers) == {}, numbers


async def is_ready(world: World, *, ready: bool) -> bool:
    return (await world.parts.watch.check() is None) is ready
