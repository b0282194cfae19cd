"""A device is forgotten after a theft, by request, and with every removal."""

from asyncio import create_task, gather, wait
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from contracts.envelope import about_person
from contracts.internal import RevokedAuthenticator
from contracts.policy import SUBJECT_STATE, SubjectState
from contracts.vocabulary import Factor, Language
from libs.postgres.pool import tenant_transaction
from services.verification.domain.outcome import Accepted
from services.verification.store.devices import delete_old
from tests.integration.verification.conftest import Person, World, running_world
from tests.integration.verification.processes import url_of
from tests.integration.verification.remembering import (
    ask,
    decide,
    delete,
    forgotten_because,
    is_known,
    remembered,
    search,
)
from tests.integration.verification.test_claims import revoke

Ending = Callable[[World, Person], Awaitable[None]]


@pytest.mark.security("S1")
async def test_of_two_users_of_one_token_one_is_found_out_and_both_are_asked(
    world: World, tmp_path: Path
) -> None:
    application, person, stolen = await remembered(world)
    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        owner, thief = await gather(
            decide(world, application, person, stolen), decide(other, application, person, stolen)
        )
        tokens = [answer.json()["device"]["token"] for answer in (owner, thief)]
        assert tokens[0] == tokens[1]
        next_token = (await decide(other, application, person, tokens[1])).json()["device"]["token"]
        world.clock.forward(timedelta(seconds=11))

        found_out = await decide(world, application, person, tokens[0])
        after = await decide(other, application, person, next_token)

    assert [one.json()["decision"] for one in (found_out, after)] == ["challenge", "challenge"]
    assert await forgotten_because(world, person) == ["theft"]


async def removed(world: World, person: Person) -> None:
    await revoke(world, person)


async def reset(world: World, person: Person) -> None:
    one = RevokedAuthenticator(
        authenticator_id=person.authenticator_id, factor=Factor.TOTP, epoch=2
    )
    await world.parts.events.credentials.revoke_now(
        tenant=person.tenant, subject=person.subject_ref, revoked=(one,), reset_id=uuid4()
    )


async def deleted(world: World, person: Person) -> None:
    state = SubjectState(
        subject_ref=person.subject_ref,
        version=2,
        deleted=True,
        user_type=None,
        groups=(),
        language=Language.ENGLISH,
    )
    event = about_person(
        SUBJECT_STATE,
        state,
        tenant=person.tenant,
        subject_ref=person.subject_ref,
        now=world.clock(),
    )
    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await world.parts.events.subject(tx, event)


@pytest.mark.requirement("D5")
@pytest.mark.parametrize(
    ("end", "why"),
    [(removed, "authenticator_removed"), (reset, "reset"), (deleted, "subject_deleted")],
)
async def test_a_device_is_forgotten_with_any_authenticator_also_in_other_processes(
    world: World, tmp_path: Path, end: Ending, why: str
) -> None:
    application, person, token = await remembered(world)
    await world.second_authenticator(person)
    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        token = (await decide(other, application, person, token)).json()["device"]["token"]

        await end(world, person)

        assert not await is_known(other, application, person, token)
    assert await forgotten_because(world, person) == [why]
    assert await world.rows("SELECT 1 FROM device WHERE forgotten_at IS NULL") == []


async def test_a_removal_that_is_heard_again_spares_newer_devices(world: World) -> None:
    application, person, _ = await remembered(world)
    await revoke(world, person)
    person_again = await world.second_authenticator(person)
    token = (await ask(world, application, person_again)).json()["device"]["token"]

    await revoke(world, person)

    assert await is_known(world, application, person_again, token)


async def test_a_removal_that_overtakes_the_answer_leaves_no_device(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    answer = (await ask(world, application, person, more={})).json()
    await revoke(world, person)
    accepted = Accepted(answer["event_id"], person.authenticator_id, "totp", world.clock())

    kept = await world.parts.door.devices.remember(
        accepted, tenant=person.tenant, application=application.application_id
    )

    assert kept is None
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.security("S1")
async def test_a_removal_that_is_under_way_ends_before_a_device_is_remembered(
    world: World,
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    answer = (await ask(world, application, person, more={})).json()
    accepted = Accepted(answer["event_id"], person.authenticator_id, "totp", world.clock())
    devices = world.parts.door.devices
    one = RevokedAuthenticator(
        authenticator_id=person.authenticator_id, factor=Factor.TOTP, epoch=2
    )

    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await world.parts.events.credentials.revoke(
            tx, tenant=person.tenant, subject=person.subject_ref, revoked=(one,), reset_id=None
        )
        remembering = create_task(
            devices.remember(accepted, tenant=person.tenant, application=application.application_id)
        )
        await wait((remembering,), timeout=0.5)

    assert await remembering is None
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.requirement("D5")
async def test_devices_are_listed_and_forgotten_at_once(world: World, tmp_path: Path) -> None:
    application, person, token = await remembered(world)
    await ask(world, application, person, code=world.code(person, steps=1))
    [first, second] = await search(world, application, person)
    assert set(first) == {"id", "application", "remembered_at", "last_used", "expires"}

    assert await delete(world, application, first["id"]) == 204

    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        assert not await is_known(other, application, person, token)
    assert await search(world, application, person) == [second]
    assert await delete(world, application, first["id"]) == 404
    assert await forgotten_because(world, person) == ["revoked"]


async def test_the_worker_cleans_up_what_is_long_over(world: World) -> None:
    application, person, token = await remembered(world)
    _, _, expired = await remembered(world)
    await delete(world, application, (await search(world, application, person))[0]["id"])
    keep = await remembered(world)
    connection = await world.stored.superuser()
    await connection.execute(
        "UPDATE device SET expires = now() - interval '2 hours' WHERE forgotten_at IS NULL"
        " AND subject_ref <> $1",
        keep[1].subject_ref,
    )
    await connection.execute("UPDATE device SET forgotten_at = forgotten_at - interval '2 hours'")
    await connection.close()

    await delete_old(world.plumbing.worker_pool, timedelta(hours=1))

    assert token != expired
    [row] = await world.rows("SELECT subject_ref FROM device")
    assert row["subject_ref"] == keep[1].subject_ref
