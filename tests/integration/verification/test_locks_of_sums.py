"""The sums of refusals are announced without the person's lock: does settling wait for them?"""

import asyncio

import pytest

from libs.messaging.cloud_event import CloudEvent
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection
from services.verification.use_cases import refusals
from tests.integration.verification.conftest import World
from tests.integration.verification.test_last_word import REASONS
from tests.integration.verification.test_locked_rows import timed


@pytest.mark.fault("R15")
async def test_a_sum_that_is_slow_to_commit_delays_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application(scopes=REASONS)
    flooded = await world.person(application.tenant)
    others = [await world.person(application.tenant) for _ in range(10)]
    for _ in range(12):
        await world.verify(application, flooded, world.wrong_code(flooded))
    # A day later, when guesses are free again, the process that sums up stops before its commit.
    await world.redis.flushall()
    await world.rows(
        "UPDATE subject SET spent = 0, consecutive = 0 WHERE id = $1 RETURNING id",
        flooded.subject_ref,
    )
    written, go_on = asyncio.Event(), asyncio.Event()

    async def stopped(tx: Connection, *, topic: str, event: CloudEvent) -> int:
        sequence = await announce(tx, topic=topic, event=event)
        written.set()
        await go_on.wait()
        return sequence

    monkeypatch.setattr(refusals, "announce", stopped)
    summing_up = asyncio.create_task(world.parts.refusals.announce())
    await written.wait()
    try:
        answers = await asyncio.gather(
            *(timed(world, application, person) for person in (flooded, *others))
        )
    finally:
        go_on.set()
        await summing_up

    assert {status for status, _ in answers[1:]} == {200}, answers
    assert max(took for _, took in answers[1:]) < 0.45
