"""The fault runs with a PostgreSQL that is frozen, fought over or out of space."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import asyncpg

from deploy.local.leftovers import end_all
from deploy.local.postgres import Postgres, _servers_in
from deploy.local.postgres_place import find_place
from libs.postgres.line import FAILURES
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.outage_runs import keep_asking, more
from tests.integration.verification.runs import Numbers, event_numbers

_WAL_SPACE = "64m"


async def freeze_run(world: World, postgres: Postgres, *, seconds: float, people: int) -> Numbers:
    """Stop every process of PostgreSQL for a while, under load."""
    numbers: Counter[str] = Counter()
    async with _load(world, numbers, people) as acked:
        frozen = _servers_in(_cluster(postgres))
        for process in frozen:
            process.send_signal(signal.SIGSTOP)
        # What had been committed by then may still be answered.
        await asyncio.sleep(0.2)
        before = len(acked)
        await asyncio.sleep(seconds)
        numbers["accepted_while_down"] = len(acked) - before
        for process in frozen:
            process.send_signal(signal.SIGCONT)
        await _recovered(acked, numbers)
    return dict(numbers)


async def full_disk_run(world: World, postgres: Postgres, *, people: int) -> Numbers:
    """Leave no space for the log that everything is committed to, under load; then make room."""
    numbers: Counter[str] = Counter()
    wal = _cluster(postgres) / "pg_wal"
    filler = wal.resolve() / "filler"
    async with _load(world, numbers, people) as acked:
        _fill(filler)
        await _use_up(postgres)
        before = len(acked)
        await asyncio.sleep(1)
        numbers["accepted_while_down"] = len(acked) - before
        filler.unlink()
        # It ended itself, and could not have recovered without space.
        await end_all(_servers_in(_cluster(postgres)), signal.SIGKILL)
        await postgres.kill()
        await postgres.start()
        await _recovered(acked, numbers)
    return dict(numbers)


async def hot_row_run(world: World, *, seconds: float, hot: int, people: int) -> Numbers:
    """Lock the rows of one tenant's people for a while; look at the answers of another tenant."""
    locked, other = await world.application(), await world.application()
    stuck = [await world.person(locked.tenant) for _ in range(hot)]
    crowd = [await world.person(other.tenant) for _ in range(people)]
    numbers: Counter[str] = Counter(hot=hot)
    before = await _timed(world, other, crowd, seconds=seconds / 2)
    holder = await world.stored.superuser()
    async with holder.transaction():
        await holder.execute(
            "SELECT 1 FROM subject WHERE id = ANY($1) FOR UPDATE",
            [person.subject_ref for person in stuck],
        )
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(world.verify(locked, person, world.code(person)))
                for person in stuck
            ]
            meanwhile = await _timed(world, other, crowd, seconds=seconds)
        numbers["slowest_locked_ms"] = int((time.monotonic() - begun - seconds) * 1000)
    await holder.close()
    answers = [one.result() for one in asked]
    clean = [one for one in answers if one.status_code == 503]
    numbers["answers_503"] = len(clean)
    numbers["unclean_errors"] = len(answers) - len(
        [one for one in clean if one.json()["code"] == "authority_unavailable"]
    )
    numbers["others_p99_before_ms"] = _p99(before)
    numbers["others_p99_meanwhile_ms"] = _p99(meanwhile)
    numbers["others_asked"] = len(meanwhile)
    again = [await world.verify(locked, person, world.code(person)) for person in stuck]
    numbers["refused_by_mistake"] = sum(one.status_code != 200 for one in again)
    return dict(numbers)


@asynccontextmanager
async def small_wal(postgres: Postgres) -> AsyncIterator[bool]:
    """Put the log of a stopped server on a file system of its own; False where we may not mount."""
    cluster = _cluster(postgres)
    account = find_place(postgres._data).account
    owner = f",uid={account.user},gid={account.group},mode=700" if account else ""
    place = cluster.parent / "wal"
    place.mkdir()
    mounted = _runs("mount", "-t", "tmpfs", "-o", f"size={_WAL_SPACE}{owner}", "tmpfs", str(place))
    try:
        if mounted:
            assert _runs("cp", "-a", f"{cluster / 'pg_wal'}/.", str(place))
            shutil.rmtree(cluster / "pg_wal")
            (cluster / "pg_wal").symlink_to(place)
        yield mounted
    finally:
        if mounted:
            await postgres.stop()
            assert _runs("umount", str(place))


def _runs(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@asynccontextmanager
async def _load(
    world: World, numbers: Counter[str], people: int
) -> AsyncIterator[list[tuple[Person, str, str]]]:
    """Have everybody log in again and again, and compare answers and events at the end."""
    application = await world.application()
    crowd = [await world.person(application.tenant) for _ in range(people)]
    acked: list[tuple[Person, str, str]] = []
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_asking(world, application, crowd, done, numbers, acked))
        await until(lambda: more(acked, people), within=30)
        yield acked
        done.set()
    ids = [event_id for *_, event_id in acked]
    outbox = await event_numbers(world, ids)
    numbers["acked_but_missing"] = outbox["accept_without_event"]
    numbers["sequence_gaps"] = outbox["sequence_gaps"]
    numbers["answers_lost"] = outbox["event_without_accept"]
    numbers["accepted"] = len(acked)
    numbers["accepted_twice"] += len(ids) - len(set(ids))


async def _recovered(acked: Sequence[object], numbers: Counter[str]) -> None:
    begun, target = time.monotonic(), len(acked) + 1
    await until(lambda: more(acked, target), within=30)
    numbers["slowest_recovery_ms"] = int((time.monotonic() - begun) * 1000)


async def _timed(
    world: World, application: Application, crowd: Sequence[Person], *, seconds: float
) -> list[float]:
    """Return how long each login took."""

    async def one(person: Person) -> float:
        begun = time.monotonic()
        answer = await world.verify(application, person, world.code(person))
        took = time.monotonic() - begun
        assert answer.status_code == 200, answer.text
        return took

    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        times += await asyncio.gather(*(one(person) for person in crowd))
        world.clock.forward(timedelta(minutes=1))
    return times


def _p99(times: Sequence[float]) -> int:
    return int(sorted(times)[int(len(times) * 0.99)] * 1000)


def _fill(filler: Path) -> None:
    space = os.statvfs(filler.parent)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize)


async def _use_up(postgres: Postgres) -> None:
    """Write until the log cannot grow, which ends the server."""

    async def is_down() -> bool:
        with suppress(*FAILURES):
            connection = await asyncpg.connect(postgres.dsn(), timeout=2)
            try:
                for _ in range(20):
                    await connection.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
                    await connection.execute("SELECT pg_switch_wal()")
            finally:
                connection.terminate()
            return False
        return True

    await until(is_down, within=20)


def _cluster(postgres: Postgres) -> Path:
    return find_place(postgres._data).cluster
