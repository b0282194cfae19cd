"""A remembered device is asked again after a week; nothing is remembered unasked."""

from asyncio import gather
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from contracts.vocabulary import Factor
from libs.postgres.pool import tenant_transaction
from services.verification.domain.outcome import Accepted
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.processes import url_of
from tests.integration.verification.remembering import (
    RECEIPT,
    REMEMBER,
    ask,
    decide,
    delete,
    is_known,
    remembered,
)
from tests.integration.verification.test_rules import rule
from tests.integration.verification.test_rules_attacked import next_policy


@pytest.mark.requirement("D5")
@pytest.mark.parametrize("quickly", [False, True])
async def test_the_same_device_is_asked_again_after_seven_days_another_one_at_once(
    world: World, quickly: bool
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    token = (await ask(world, application, person, quickly=quickly)).json()["device"]["token"]
    assert (await decide(world, application, person, None)).json()["decision"] == "challenge"

    for _ in range(6):
        world.clock.forward(timedelta(days=1))
        answer = (await decide(world, application, person, token)).json()
        assert (answer["decision"], answer["reason"]) == ("allow", "remembered")
        assert answer["remembered"] is True
        assert answer["factors"] == ["totp"]
        token = answer["device"]["token"]
    world.clock.forward(timedelta(days=1))

    answer = (await decide(world, application, person, token)).json()
    assert (answer["decision"], answer["remembered"]) == ("challenge", False)
    assert await world.events(person) == [
        "mfa.credential_claimed",
        "mfa.verified",
        "mfa.device_remembered",
    ]


@pytest.mark.parametrize("more", [{}, {"device": None}, {"device": {"remember": False}}])
@pytest.mark.parametrize("quickly", [False, True])
async def test_nothing_is_remembered_that_nobody_asked_for(
    world: World, more: dict[str, object], quickly: bool
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await ask(world, application, person, more=more, quickly=quickly)

    assert answer.status_code == 200
    assert "device" not in answer.json()
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "more",
    [
        {"device": {}},
        {"device": {"remember": 1}},
        {"device": {"remember": "true"}},
        {"device": {"remember": True, "token": "x"}},
        {"device": True},
        {"receipt": {"nonce": "a-good-nonce", "aud": "x"}},
        {"receipt": {}},
        {"receipt": "a-good-nonce"},
    ],
)
async def test_both_lanes_refuse_other_forms(world: World, more: dict[str, object]) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answers = [
        await ask(world, application, person, more=more, quickly=quickly)
        for quickly in (True, False)
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert "mfa.verified" not in await world.events(person)


async def test_a_wrong_code_remembers_nothing(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await ask(world, application, person, code=world.wrong_code(person))

    assert answer.status_code == 403
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.parametrize(
    ("longest", "known"),
    [(timedelta(days=2), True), (timedelta(hours=23), False), (timedelta(0), False)],
)
async def test_a_shorter_time_holds_for_devices_that_are_remembered_already(
    world: World, longest: timedelta, known: bool
) -> None:
    application, person, token = await remembered(world)
    world.clock.forward(timedelta(days=1))
    devices = replace(world.parts.door.devices, remember_for=longest)
    shown = await devices.shown(person.tenant, token)
    assert shown is not None
    [row] = await world.rows("SELECT lookup FROM subject WHERE id = $1", person.subject_ref)

    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        kept = await devices.known(
            tx,
            shown,
            tenant=person.tenant,
            application=application.application_id,
            lookup=row["lookup"],  # type: ignore[arg-type]
            factors=("totp",),
        )

    assert (kept is not None) is known


async def test_nothing_is_remembered_where_it_is_switched_off(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    answer = (await ask(world, application, person, more={})).json()
    accepted = Accepted(answer["event_id"], person.authenticator_id, "totp", world.clock())
    devices = replace(world.parts.door.devices, remember_for=timedelta(0))

    kept = await devices.remember(
        accepted, tenant=person.tenant, application=application.application_id
    )

    assert kept is None
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.fault("R10")
async def test_a_repeat_gets_the_same_device_and_remembers_no_other(
    world: World, tmp_path: Path
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    more = REMEMBER | RECEIPT

    answers = await gather(
        *(ask(world, application, person, code=code, key=key, more=more) for _ in range(4))
    )
    await decide(world, application, person, answers[0].json()["device"]["token"])
    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        answers.append(await ask(other, application, person, code=code, key=key, more=more))

    assert answers[0].status_code == 200
    assert len({answer.content for answer in answers}) == 1
    assert (await world.events(person)).count("mfa.device_remembered") == 1


@pytest.mark.fault("R10")
async def test_a_repeat_remembers_what_the_first_could_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex

    async def lose(*_args: object, **_named: object) -> None:
        raise OSError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr("services.verification.use_cases.devices.store.add", lose)
        first = await ask(world, application, person, code=code, key=key)
    again = await ask(world, application, person, code=code, key=key)

    assert (first.status_code, again.status_code) == (503, 200)
    assert await is_known(world, application, person, again.json()["device"]["token"])


async def test_a_repeat_does_not_bring_a_forgotten_device_back(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    first = await ask(world, application, person, code=code, key=key)
    await delete(world, application, first.json()["device"]["id"])

    again = await ask(world, application, person, code=code, key=key)

    assert again.content == first.content
    assert not await is_known(world, application, person, again.json()["device"]["token"])


@pytest.mark.parametrize(
    ("first", "second"),
    [(REMEMBER, {}), ({}, REMEMBER), (REMEMBER, RECEIPT), (RECEIPT, REMEMBER | RECEIPT)],
)
async def test_asking_for_something_else_is_another_request(
    world: World, first: dict[str, object], second: dict[str, object]
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    await ask(world, application, person, code=code, key=key, more=first)

    answer = await ask(world, application, person, code=code, key=key, more=second)

    assert answer.json()["code"] == "idempotency_key_reused"


async def test_a_device_of_before_its_factor_was_kept_is_asked_once_more(world: World) -> None:
    application, person, token = await remembered(world)
    await world.rows("UPDATE device SET factor = NULL RETURNING 1")

    assert await is_known(world, application, person, token) is False


async def test_a_device_counts_again_where_its_factor_does(world: World) -> None:
    application, person, token = await remembered(world)

    await next_policy(world, application, rule("fobs", factors=(Factor.HOTP,)))
    meanwhile = await decide(world, application, person, token)
    await next_policy(world, application, rule("both", factors=(Factor.TOTP,)), version=3)

    assert meanwhile.json()["remembered"] is False
    assert await is_known(world, application, person, token) is True
