"""Imports whose process dies, that two processes want, or that somebody gets in the way of."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from pydantic import SecretStr

from contracts.policy import SUBJECT_STATE, SUBJECTS_IMPORTED
from libs.ids import new_id
from libs.postgres.pool import tenant_transaction
from libs.service.plumbing import open_plumbing
from services.policy.app import SERVICE
from services.policy.domain.subject import Attributes, Personal, Subject
from services.policy.store.subjects import add_subject
from services.policy.use_cases.personal import PersonalSeals
from tests.fixtures.services import ROOT
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.importing import Sender, importing, work
from tests.unit.policy.builders import NOW, a_subject

pytestmark = pytest.mark.requirement("C4")

_PATIENCE = 60.0


@pytest.fixture
def sender(bench: Bench, tenant: Tenant) -> Sender:
    return Sender(bench, tenant)


def _rows(number: int) -> str:
    return "subject,email\n" + "".join(f"p{n},p{n}@example.org\n" for n in range(number))


async def test_a_process_that_is_killed_in_the_middle_loses_and_repeats_nothing(
    bench: Bench, sender: Sender
) -> None:
    import_id = await sender.sent(_rows(1200))
    async with _consumer(bench) as first:
        await _until(lambda: _has_done(sender, import_id, 1))
        async with bench.owner.acquire() as other, other.transaction():
            # The process stops in the middle of a step, after it has written subjects.
            await other.execute("LOCK TABLE import_row IN SHARE ROW EXCLUSIVE MODE")
            await _until(lambda: _somebody_waits(bench))
            first.send_signal(signal.SIGKILL)
            await first.wait()
    done = (await sender.shown(import_id))["counts"]["created"]
    # What the dead process had written of its step goes when the server notices.
    assert 0 < done < 1200
    assert await _count(bench, sender) == done
    async with _consumer(bench):
        await _until(lambda: _is_finished(sender, import_id))

    await _assert_each_was_made_once(bench, sender, import_id, 1200)


async def test_a_step_that_fails_is_done_anew(bench: Bench, sender: Sender) -> None:
    import_id = await sender.sent(_rows(30))
    await importing(bench, rows_at_once=10).round()
    async with bench.owner.acquire() as other, other.transaction():
        await other.execute("LOCK TABLE import_row IN SHARE ROW EXCLUSIVE MODE")
        step = asyncio.create_task(importing(bench, rows_at_once=10).round())
        await _until(lambda: _somebody_waits(bench))
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step

    assert (await sender.shown(import_id))["counts"]["created"] == 10
    assert await _count(bench, sender) == 10
    await work(bench)
    await _assert_each_was_made_once(bench, sender, import_id, 30)


async def test_two_processes_never_do_one_row_twice(bench: Bench, sender: Sender) -> None:
    import_id = await sender.sent(_rows(600))
    async with (
        open_plumbing(SERVICE, bench.settings) as one,
        open_plumbing(SERVICE, bench.settings) as two,
    ):

        async def take_part(process: Bench) -> None:
            worker = importing(process, rows_at_once=20)
            while not await _is_finished(sender, import_id):
                await worker.round()

        processes = (bench, bench.with_plumbing(one), bench.with_plumbing(two))
        await asyncio.gather(*map(take_part, processes))

    await _assert_each_was_made_once(bench, sender, import_id, 600)


async def test_an_import_that_is_with_one_process_is_left_alone_by_another(
    bench: Bench, sender: Sender
) -> None:
    import_id = await sender.sent(_rows(3))
    async with bench.owner.acquire() as other, other.transaction():
        await other.execute(
            "SELECT FROM subject_import WHERE import_id = $1 FOR NO KEY UPDATE", UUID(import_id)
        )
        worked = await importing(bench).step(sender.tenant.tenant_id, UUID(import_id))

    assert worked is False
    assert await _count(bench, sender) == 0
    await work(bench)
    assert await _count(bench, sender) == 3


async def test_who_is_made_by_a_request_at_the_same_time_is_there_once(
    bench: Bench, sender: Sender
) -> None:
    import_id = await sender.sent("subject,language\nanna,en\nbob,en\n")
    tenant = sender.tenant.tenant_id
    keys = await PersonalSeals(bench.plumbing.data_keys).keys(tenant)
    anna = _subject("anna")
    async with tenant_transaction(bench.plumbing.app_pool, tenant) as tx:
        digests = keys.digests(anna.personal)
        assert await add_subject(tx, tenant, keys.seal(anna), digests=digests)
        step = asyncio.create_task(importing(bench).step(tenant, UUID(import_id)))
        await _until(lambda: _somebody_waits(bench))

    assert await step
    assert (await sender.shown(import_id))["counts"]["created"] == 0
    await work(bench)

    assert await sender.outcomes(import_id) == [(1, "updated", []), (2, "created", [])]
    assert Counter(s["subject"] for s in await sender.subjects()) == {"anna": 1, "bob": 1}


async def test_a_label_that_a_request_takes_at_the_same_time_is_there_once(
    bench: Bench, sender: Sender
) -> None:
    await sender.done("subject,label\nanna,A\n")
    import_id = await sender.sent("subject,label\nanna,B\n")
    tenant = sender.tenant.tenant_id
    keys = await PersonalSeals(bench.plumbing.data_keys).keys(tenant)
    bob = _subject("bob", "B")
    async with tenant_transaction(bench.plumbing.app_pool, tenant) as tx:
        assert await add_subject(tx, tenant, keys.seal(bob), digests=keys.digests(bob.personal))
        step = asyncio.create_task(importing(bench).step(tenant, UUID(import_id)))
        await _until(lambda: _somebody_waits(bench))

    assert await step
    await work(bench)

    assert await sender.outcomes(import_id) == [(1, "refused", ["label: another subject has it"])]


async def test_an_import_that_cannot_be_opened_is_ended_and_the_others_go_on(
    bench: Bench, sender: Sender
) -> None:
    bad, good = await sender.sent("subject\na\n"), await sender.sent("subject\nb\n")
    await bench.owner.execute(
        "UPDATE import_part SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
        " WHERE import_id = $1",
        UUID(bad),
    )

    await work(bench)

    states = [(await sender.shown(one))["state"] for one in (bad, good)]
    assert states == ["cancelled", "finished"]


async def test_an_import_whose_parts_are_gone_is_ended(bench: Bench, sender: Sender) -> None:
    import_id = await sender.sent("subject\na\n", "b\n")
    await bench.owner.execute(
        "DELETE FROM import_part WHERE import_id = $1 AND number = 2", UUID(import_id)
    )

    async with asyncio.timeout(_PATIENCE):
        await work(bench)

    shown = await sender.shown(import_id)
    assert (shown["state"], shown["counts"]["created"]) == ("cancelled", 1)


async def test_an_import_whose_step_fails_keeps_no_other_tenant_from_its_turn(
    bench: Bench, sender: Sender
) -> None:
    other = Sender(bench, await bench.new_tenant())
    await sender.done("subject\na\n")
    stuck, good = await sender.sent("subject,label\na,b\n"), await other.sent("subject\na\n")
    async with bench.owner.acquire() as connection, connection.transaction():
        await connection.execute(
            "SELECT FROM subject WHERE tenant_id = $1 FOR UPDATE", sender.tenant.tenant_id
        )
        with pytest.raises(TimeoutError):
            await importing(bench).round()

    assert (await sender.shown(stuck))["state"] == "running"
    assert (await other.shown(good))["state"] == "finished"


async def _assert_each_was_made_once(
    bench: Bench, sender: Sender, import_id: str, number: int
) -> None:
    counts = (await sender.shown(import_id))["counts"]
    assert (counts["created"], counts["refused"], counts["unchanged"]) == (number, 0, 0)
    assert await _count(bench, sender) == number
    said = await bench.announced(sender.tenant.tenant_id)
    states = Counter(event.key for _, event in said if event.type == SUBJECT_STATE.name)
    assert (len(states), set(states.values())) == (number, {1})
    assert sum(event.type == SUBJECTS_IMPORTED.name for _, event in said) == 1
    rows = "SELECT count(*) FROM import_row WHERE import_id = $1"
    assert await bench.owner.fetchval(rows, UUID(import_id)) == number


def _subject(name: str, label: str | None = None) -> Subject:
    return Subject(
        new_id(),
        version=1,
        created=NOW,
        personal=Personal(name, email=None, label=label or name),
        attributes=Attributes(None, groups=(), language=a_subject().attributes.language),
    )


async def _count(bench: Bench, sender: Sender) -> int:
    query = "SELECT count(*) FROM subject WHERE tenant_id = $1"
    count: int = await bench.owner.fetchval(query, sender.tenant.tenant_id)
    return count


async def _has_done(sender: Sender, import_id: str, number: int) -> bool:
    created: int = (await sender.shown(import_id))["counts"]["created"]
    return created >= number


async def _is_finished(sender: Sender, import_id: str) -> bool:
    return bool((await sender.shown(import_id))["state"] == "finished")


async def _somebody_waits(bench: Bench) -> bool:
    query = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
    return bool(await bench.owner.fetchval(query))


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not await true():  # noqa: ASYNC110 - what happens is in another process
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _consumer(bench: Bench) -> AsyncIterator[asyncio.subprocess.Process]:
    settings = {name: getattr(bench.settings, name) for name in type(bench.settings).model_fields}
    variables = {
        f"WATCHWORD_POLICY_{name.upper()}": (
            value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        )
        for name, value in settings.items()
        if value is not None
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.policy", "consumer"),
        cwd=ROOT,
        env=os.environ | variables,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
