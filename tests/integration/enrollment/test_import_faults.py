"""Imports whose process dies, that two processes want, or that somebody gets in the way of."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from libs.postgres.pool import tenant_transaction
from tests.integration.enrollment.importing import (
    Body,
    Sender,
    importing,
    json_lines,
    new_manager,
    totp,
    work,
)
from tests.integration.enrollment.things import until
from tests.integration.enrollment.world import World, running_world


@pytest.fixture
async def sender(world: World) -> Sender:
    return await new_manager(world)


def _rows(number: int) -> list[Body]:
    return [totp(serial=f"T{n:05}") for n in range(number)]


async def _waits(world: World) -> bool:
    [row] = await world.rows("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted) AS waits")
    return bool(row["waits"])


@asynccontextmanager
async def _locked(world: World, table: str) -> AsyncIterator[None]:
    connection = await world.stored.superuser()
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_a_step_that_is_stopped_in_the_middle_is_done_anew(
    world: World, sender: Sender
) -> None:
    people = [sender.person() for _ in range(20)]
    rows = [totp(subject=one.name, serial=f"S{n}") for n, one in enumerate(people)]
    import_id = await sender.sent(json_lines(*rows))
    await importing(world, rows_at_once=10).round()
    async with _locked(world, "import_row"):
        step = asyncio.create_task(importing(world, rows_at_once=10).round())
        await until(lambda: _waits(world))
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step

    assert (await sender.shown(import_id))["counts"]["enrolled"] == 10
    assert await sender.count("authenticator") == 10
    await work(world)
    assert (await sender.shown(import_id))["counts"]["enrolled"] == 20
    assert [await world.event_types(one) for one in people] == [["enrolled"]] * 20


async def test_a_process_that_is_killed_in_the_middle_loses_and_repeats_nothing(
    world: World, sender: Sender
) -> None:
    import_id = await sender.sent(json_lines(*_rows(40)))
    await importing(world, rows_at_once=10).round()
    async with _locked(world, "import_row"):
        # Another process, which asks nobody: rows without subjects need no policy.
        process = await _worker(world)
        await until(lambda: _waits(world))
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert len(await sender.tokens()) == 10
    await work(world)

    assert (await sender.shown(import_id))["counts"]["stocked"] == 40
    assert len(await sender.tokens()) == 40
    assert await sender.count("known_secret") == 40
    assert len(await sender.announced()) == 1


async def test_two_processes_never_do_one_row_twice(world: World, sender: Sender) -> None:
    import_id = await sender.sent(json_lines(*_rows(300)))
    async with running_world(world.stored, neighbours=world.neighbours) as other:

        async def take_part(process: World) -> None:
            worker = importing(process, rows_at_once=20)
            while (await sender.shown(import_id))["state"] != "finished":
                await worker.round()

        await asyncio.gather(take_part(world), take_part(other), take_part(other))

    outcomes = Counter(one["outcome"] for one in await sender.rows(import_id))
    assert outcomes == {"stocked": 300}
    assert len(await sender.tokens("?limit=1000")) == 300
    assert len(await sender.announced()) == 1


async def test_of_two_imports_with_one_secret_at_once_one_has_it(
    world: World, sender: Sender
) -> None:
    row = totp(serial="T1")
    first, second = await sender.sent(json_lines(row)), await sender.sent(json_lines(row))
    one, two = importing(world), importing(world)

    done = await asyncio.gather(
        one.step(sender.tenant, UUID(first)), two.step(sender.tenant, UUID(second))
    )
    await work(world)

    assert list(done) == [True, True]
    outcomes = [(await sender.outcomes(about))[0][0] for about in (first, second)]
    assert sorted(outcomes) == ["stocked", "unchanged"]
    assert len(await sender.tokens()) == 1


async def test_while_policy_is_down_an_import_waits_and_others_go_on(
    world: World, sender: Sender
) -> None:
    other, anna = await new_manager(world), sender.person()
    waiting = await sender.sent(json_lines(totp(subject=anna.name)))
    going = await other.sent(json_lines(totp(serial="T1")))
    world.neighbours.policy_down = True

    await work(world)
    states = [(await sender.shown(waiting))["state"], (await other.shown(going))["state"]]
    world.neighbours.policy_down = False
    await work(world)

    assert states == ["running", "finished"]
    assert await sender.outcomes(waiting) == [("enrolled", [])]


@pytest.mark.parametrize("damage", ["gone", "changed"])
async def test_an_import_that_cannot_be_opened_is_ended_and_the_others_go_on(
    world: World, sender: Sender, damage: str
) -> None:
    bad, good = [await sender.sent(json_lines(totp(serial=name))) for name in ("A", "B")]
    query = (
        "DELETE FROM import_part WHERE import_id = $1"
        if damage == "gone"
        else "UPDATE import_part SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
        " WHERE import_id = $1"
    )
    await world.rows(query, UUID(bad))

    await work(world)

    assert [(await sender.shown(one))["state"] for one in (bad, good)] == ["cancelled", "finished"]


async def test_who_is_deleted_gets_nothing_and_what_they_brought_is_forgotten(
    world: World, sender: Sender
) -> None:
    anna, row = sender.person(), totp()
    await sender.done(row | {"subject": anna.name})
    async with tenant_transaction(world.plumbing.app_pool, sender.tenant) as tx:
        await world.parts.events.remove.forget_person(tx, sender.tenant, anna.subject_ref)

    # Policy may still have named her a moment before.
    late = await sender.done(totp(subject=anna.name))

    assert await sender.outcomes(late) == [("refused", ["subject: there is no such subject"])]
    assert await sender.count("known_secret") == 0


_PROGRAM = """
import asyncio, sys
from libs.clock import system_clock
from libs.postgres.pool import open_app_pool, open_pool
from libs.sealing.data_keys import DataKeys
from libs.sealing.key_file import FileProvider, KeyFile
from services.enrollment.gateways import Policy
from services.enrollment.use_cases.importing import Importing
from services.enrollment.use_cases.imports import Imports
from services.enrollment.use_cases.token_seals import TokenSeals

async def main(app, worker):
    pool = await open_app_pool(app, name="killed")
    seals = TokenSeals(DataKeys(pool, FileProvider(lambda: KeyFile({1: b"k" * 32}))))
    imports = Imports(pool, seals, system_clock)
    await Importing(imports, Policy(None), await open_pool(worker, name="w"), 10).round()

asyncio.run(main(*sys.argv[1:]))
"""


async def _worker(world: World) -> asyncio.subprocess.Process:
    dsns = [world.stored.dsn(f"enrollment_{role}") for role in ("app", "worker")]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PROGRAM, *dsns), env={**os.environ, "PYTHONPATH": "."}
    )
