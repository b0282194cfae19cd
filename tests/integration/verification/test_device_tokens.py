"""A token is good once, for one person at one application, and known to nobody else."""

from asyncio import create_task, gather
from datetime import timedelta

import pytest

from contracts.vocabulary import Factor, Requirement, Scope
from services.verification.domain.device import read, written
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import World
from tests.integration.verification.remembering import (
    ask,
    decide,
    delete,
    forgotten_because,
    is_known,
    remembered,
    search,
)


async def test_several_tabs_and_a_lost_answer_get_the_same_next_token(world: World) -> None:
    application, person, token = await remembered(world)

    answers = await gather(*(decide(world, application, person, token) for _ in range(8)))
    world.clock.forward(timedelta(seconds=9))
    answers.append(await decide(world, application, person, token))

    tokens = {answer.json()["device"]["token"] for answer in answers}
    assert len(tokens) == 1
    assert token not in tokens
    assert await is_known(world, application, person, tokens.pop())
    assert await forgotten_because(world, person) == []


@pytest.mark.security("S1")
async def test_parallel_uses_make_one_generation(world: World) -> None:
    application, person, token = await remembered(world)
    superuser = await world.stored.superuser()

    async with superuser.transaction():
        await superuser.execute("SELECT 1 FROM device FOR UPDATE")
        asked = [create_task(decide(world, application, person, token)) for _ in range(4)]
        await until(lambda: _all_wait(world, 4))
    answers = await gather(*asked)
    await superuser.close()

    assert len({answer.json()["device"]["token"] for answer in answers}) == 1
    assert await world.rows("SELECT generation FROM device") == [{"generation": 2}]


async def _all_wait(world: World, number: int) -> bool:
    rows = await world.rows(
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return len(rows) >= number


@pytest.mark.security("S12")
async def test_a_token_that_we_did_not_make_is_unknown(world: World) -> None:
    application, person, token = await remembered(world)
    said = read(token)
    assert said is not None

    for forged in (written(said, b"x" * 32), token[:-2] + ("AA" if token[-2:] != "AA" else "BB")):
        assert not await is_known(world, application, person, forged)
    assert await is_known(world, application, person, token)


@pytest.mark.security("S6")
async def test_a_device_is_known_to_its_application_and_person_only(world: World) -> None:
    application, person, token = await remembered(world)
    sister = await world.application(tenant=application.tenant)
    stranger = await world.application()
    other = await world.person(application.tenant)
    await ask(world, sister, other)

    assert not await is_known(world, sister, person, token)
    assert not await is_known(world, application, other, token)
    their_answer = (await decide(world, stranger, person, token)).json()
    assert (their_answer["decision"], their_answer["remembered"]) == ("enroll", False)
    assert await is_known(world, application, person, token)


@pytest.mark.security("S6")
async def test_a_token_of_another_tenant_is_unknown(world: World) -> None:
    application, person, _ = await remembered(world)
    _, _, theirs = await remembered(world)

    assert not await is_known(world, application, person, theirs)


@pytest.mark.security("S4")
@pytest.mark.parametrize("token", ["", "wwd_", "wwd_" + "A" * 75, "x" * 512, "wwd_\u00e9"])
async def test_a_token_that_is_none_is_as_good_as_none(world: World, token: str) -> None:
    application, person, _ = await remembered(world)

    assert not await is_known(world, application, person, token)


async def test_a_device_does_not_stand_for_an_authenticator(world: World) -> None:
    application, person, token = await remembered(world)
    other_factor = await world.application(tenant=application.tenant, factors=(Factor.PASSKEY,))
    off = await world.application(tenant=application.tenant, requirement=Requirement.OFF)
    not_ours = (await ask(world, off, person, code=world.code(person, steps=1))).json()["device"]

    answer = (await decide(world, off, person, not_ours["token"])).json()

    assert (answer["reason"], answer["remembered"]) == ("not_required", False)
    assert (await decide(world, other_factor, person, token)).json()["decision"] == "enroll"


@pytest.mark.security("S6")
async def test_others_neither_list_nor_forget_our_devices(world: World) -> None:
    application, person, token = await remembered(world)
    [device] = await search(world, application, person)
    others = [await world.application(tenant=application.tenant), await world.application()]
    powerless = await world.application(tenant=application.tenant, scopes=(Scope.ENROLL,))

    for other in others:
        assert await search(world, other, person) == []
        assert await delete(world, other, device["id"]) == 404
    assert await delete(world, powerless, device["id"]) == 403
    assert await is_known(world, application, person, token)


@pytest.mark.security("S14")
async def test_no_token_is_stored_or_announced(world: World) -> None:
    application, person, token = await remembered(world)
    next_token = (await decide(world, application, person, token)).json()["device"]["token"]

    rows = await world.rows("SELECT * FROM device")
    payloads = await world.rows("SELECT payload FROM outbox")

    everything = "".join(map(str, [*rows, *payloads]))
    assert not any(part in everything for one in (token, next_token) for part in (one, one[40:]))
