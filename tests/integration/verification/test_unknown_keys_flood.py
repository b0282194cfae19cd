"""Whoever has no key at all takes no place at the door: how many of them wait for PostgreSQL?"""

import asyncio

import pytest

from libs.ids import new_id
from libs.web.api_keys import new_api_key
from tests.integration.verification.conftest import World

PLACES = 256


@pytest.mark.fault("R36")
async def test_no_more_unknown_keys_are_looked_up_at_once_than_there_are_places(
    world: World,
) -> None:
    keys = [new_api_key(mode="test", application_id=new_id()).text for _ in range(1_000)]

    async def unknown(key: str) -> int:
        answer = await world.public.post(
            "/v1/verify",
            json={"subject": "a@example.org", "code": "123456"},
            headers={"Authorization": f"Bearer {key}"},
        )
        return answer.status_code

    flood = [asyncio.create_task(unknown(key)) for key in keys]
    # Each is a task that waits for one of the 8 connections on which known callers are read too.
    most = 0
    while not all(task.done() for task in flood):
        most = max(most, len(world.parts.door.directory._kept))
        await asyncio.sleep(0.005)

    # With 6000 of them a known caller, read anew each second, gets 503 after 2 s.
    assert most <= PLACES


async def test_known_callers_are_no_strangers_after_a_change_of_somebody(world: World) -> None:
    applications = [await world.application() for _ in range(40)]
    people = [await world.person(one.tenant) for one in applications]
    asks = list(zip(applications, people, strict=True))
    for application, person in asks:
        await world.verify(application, person, world.code(person, steps=-1))

    world.parts.door.directory.forget()
    answers = await asyncio.gather(*(world.verify(a, p, world.code(p)) for a, p in asks))

    assert {answer.status_code for answer in answers} == {200}
