import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import pytest
from msgspec.structs import replace

from services.notification.store import messages
from tests.fixtures.services import ServiceDatabase, TestClock
from tests.integration.notification.smtp_simulator import HANG_UP, SmtpSimulator
from tests.integration.notification.world import (
    PolicySimulator,
    World,
    running_world,
    settings_for,
    until,
)

PENDING, SENT = ("pending", None), ("sent", None)
UNKNOWN, REFUSED = ("unknown", "no_answer"), ("failed", "refused_by_server")


@pytest.fixture
async def impatient(stored: ServiceDatabase, smtp: SmtpSimulator) -> AsyncIterator[World]:
    settings = settings_for(
        stored,
        smtp,
        smtp_patience=timedelta(seconds=0.4),
        smtp_verdict_limit=timedelta(seconds=0.4),
    )
    async with running_world(stored, smtp, PolicySimulator(), TestClock(), settings) as made:
        yield made


@pytest.fixture
async def patient(stored: ServiceDatabase, smtp: SmtpSimulator) -> AsyncIterator[World]:
    # Longer than a test waits for anything.
    settings = settings_for(stored, smtp, smtp_patience=timedelta(seconds=60))
    async with running_world(stored, smtp, PolicySimulator(), TestClock(), settings) as made:
        yield made


@pytest.mark.requirement("F3")
async def test_an_enrolled_authenticator_is_told_once(world: World) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))

    await world.deliver_due()
    await world.try_again()

    assert await world.state(person) == SENT
    assert await world.events(person) == ["mfa.notification_sent"]
    assert [one.recipient for one in world.smtp.delivered] == [person.email]


@pytest.mark.fault("R21")
async def test_the_same_event_again_sends_nothing_more(world: World) -> None:
    person = world.person()
    event = world.enrolled(person)
    await world.hear(event)
    await world.deliver_due()

    await world.hear(event)
    await world.hear(replace(event, sequence=7))
    await world.try_again()

    assert await world.state(person) == SENT
    assert len(world.smtp.delivered) == 1


@pytest.mark.fault("R21")
async def test_the_same_event_twice_at_once_makes_one_message(world: World) -> None:
    person = world.person()
    event = world.enrolled(person)

    await asyncio.gather(*(world.hear(event) for _ in range(4)))
    await world.deliver_due()

    assert await world.state(person) == SENT
    assert len(world.smtp.delivered) == 1


@pytest.mark.fault("R26")
@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("greeting", "421 too busy"),
        ("greeting", "554 no service"),
        ("greeting", HANG_UP),
        ("greeting", "what?"),
        ("hello", "421 closing"),
        ("hello", HANG_UP),
        ("mail", "451 try again"),
        ("mail", HANG_UP),
        ("rcpt", "450 greylisted"),
        ("rcpt", HANG_UP),
        ("data", "451 no room"),
        ("data", HANG_UP),
        ("verdict", "451 try again"),
    ],
)
async def test_what_was_surely_not_taken_is_sent_later(
    world: World, stage: str, reply: str
) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    good = getattr(world.smtp, stage)
    setattr(world.smtp, stage, reply)

    await world.deliver_due()

    assert await world.state(person) == PENDING
    assert await world.deliver_due() == 0  # it waits
    setattr(world.smtp, stage, good)
    await world.try_again()
    assert await world.state(person) == SENT
    assert (len(world.smtp.delivered), world.smtp.twice) == (1, 0)
    assert await world.events(person) == ["mfa.notification_sent"]


@pytest.mark.fault("R26")
async def test_a_refused_connection_is_tried_again(
    stored: ServiceDatabase, smtp: SmtpSimulator
) -> None:
    nobody_there = SmtpSimulator()
    async with nobody_there.listening():
        pass
    settings = settings_for(stored, nobody_there)
    clock, policy = TestClock(), PolicySimulator()
    async with running_world(stored, nobody_there, policy, clock, settings) as world:
        person = world.person()
        await world.hear(world.enrolled(person))

        await world.deliver_due()

        assert await world.state(person) == PENDING
        async with nobody_there.listening():
            await world.try_again()
        assert await world.state(person) == SENT


@pytest.mark.fault("R26")
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "verdict"])
async def test_a_permanent_refusal_ends_the_message(world: World, stage: str) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    setattr(world.smtp, stage, "550 never")

    await world.deliver_due()
    await world.try_again()

    assert await world.state(person) == REFUSED
    assert await world.events(person) == ["mfa.notification_failed"]
    assert world.smtp.connections == 1


@pytest.mark.fault("R26")
@pytest.mark.parametrize("verdict", [HANG_UP, "what?", "299", "354 again"])
async def test_an_unclear_end_is_never_repeated(world: World, verdict: str) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    world.smtp.verdict = verdict

    await world.deliver_due()
    world.smtp.verdict = "250 taken"
    await world.try_again()

    expected = SENT if verdict == "299" else UNKNOWN
    assert await world.state(person) == expected
    assert (len(world.smtp.delivered), world.smtp.twice) == (1, 0)
    assert world.smtp.connections == 1


@pytest.mark.fault("R26")
async def test_an_answer_that_comes_too_late_is_never_repeated(impatient: World) -> None:
    world, person, released = impatient, impatient.person(), asyncio.Event()
    world.smtp.before["verdict"] = released.wait
    await world.hear(world.enrolled(person))

    await world.deliver_due()
    released.set()
    await world.try_again()

    assert await world.state(person) == UNKNOWN
    assert await world.events(person) == ["mfa.notification_unknown"]
    assert (len(world.smtp.delivered), world.smtp.connections) == (1, 1)


@pytest.mark.fault("R26")
@pytest.mark.parametrize("stage", ["greeting", "hello", "rcpt", "data"])
async def test_a_server_that_is_silent_before_the_content_is_tried_again(
    impatient: World, stage: str
) -> None:
    world, person, released = impatient, impatient.person(), asyncio.Event()
    world.smtp.before[stage] = released.wait
    await world.hear(world.enrolled(person))

    await world.deliver_due()

    assert await world.state(person) == PENDING
    released.set()
    await world.try_again()
    assert await world.state(person) == SENT
    assert (len(world.smtp.delivered), world.smtp.twice) == (1, 0)


@pytest.mark.fault("R26")
async def test_whoever_is_stuck_holds_up_nobody_else(patient: World) -> None:
    world, held, first = patient, asyncio.Event(), [True]

    async def hold_the_first() -> None:
        if first:
            first.clear()
            await held.wait()

    world.smtp.before["greeting"] = hold_the_first
    people = [world.person() for _ in range(20)]
    for person in people:
        await world.hear(world.enrolled(person))
    stop = asyncio.Event()
    running = asyncio.create_task(world.parts.worker.run(stop))

    async def all_but_one() -> bool:
        return len(world.smtp.delivered) == len(people) - 1

    async def all_of_them() -> bool:
        rows = await world.rows("SELECT 1 FROM message WHERE status = 'sent'")
        return len(rows) == len(people)

    await until(all_but_one)
    held.set()
    await until(all_of_them)
    stop.set()
    await running
    assert world.smtp.twice == 0


@pytest.mark.fault("R26")
async def test_two_processes_share_the_work_and_send_nothing_twice(
    stored: ServiceDatabase, smtp: SmtpSimulator
) -> None:
    settings, policy, clock = settings_for(stored, smtp), PolicySimulator(), TestClock()
    async with AsyncExitStack() as stack:
        worlds = [
            await stack.enter_async_context(running_world(stored, smtp, policy, clock, settings))
            for _ in range(2)
        ]
        people = [worlds[0].person() for _ in range(40)]
        stop = asyncio.Event()
        running = [asyncio.create_task(world.parts.worker.run(stop)) for world in worlds]
        await asyncio.gather(*(worlds[0].hear(worlds[0].enrolled(one)) for one in people))

        async def all_sent() -> bool:
            rows = await worlds[0].rows("SELECT 1 FROM message WHERE status = 'sent'")
            return len(rows) == len(people)

        await until(all_sent)
        stop.set()
        await asyncio.gather(*running)

    assert (len(smtp.delivered), smtp.twice) == (len(people), 0)


async def test_takers_side_by_side_never_take_the_same_message(world: World) -> None:
    for _ in range(10):
        await world.hear(world.enrolled(world.person()))
    pool = world.plumbing.worker_pool

    taken = await asyncio.gather(*(messages.take_due(pool, most=4) for _ in range(4)))

    ids = [message.message_id for batch in taken for message in batch]
    assert len(ids) == len(set(ids)) == 10


async def test_the_unique_index_is_the_last_judge_of_once(world: World) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))

    with pytest.raises(Exception, match="message_tenant_id_caused_by_key"):
        await world.rows(
            "INSERT INTO message (tenant_id, id, caused_by, subject_ref, template, happened)"
            " SELECT tenant_id, $1, caused_by, subject_ref, template, happened FROM message",
            uuid4(),
        )
