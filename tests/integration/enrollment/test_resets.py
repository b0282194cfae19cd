import asyncio
from uuid import UUID, uuid4

import pytest

from contracts.envelope import about_person
from contracts.recovery import RESET_REQUESTED, RecoveryMeans, ResetRequested
from libs.postgres.pool import tenant_transaction
from tests.integration.enrollment.things import Person
from tests.integration.enrollment.world import World


async def _request(world: World, person: Person, reset_id: UUID) -> None:
    """Let the event come that says what recovery's call says."""
    event = about_person(
        RESET_REQUESTED,
        ResetRequested(reset_id=reset_id, means=RecoveryMeans.RECOVERY_KEY),
        tenant=person.tenant,
        subject_ref=person.subject_ref,
        now=world.clock(),
    )
    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await world.parts.events.handlers()[RESET_REQUESTED.name](tx, event)


async def _removed(world: World, person: Person) -> list[dict[str, object]]:
    events = await world.events(person)
    return [data for kind, data in events if kind == "mfa.authenticator_removed"]


async def _applied(world: World, person: Person) -> list[object]:
    events = await world.events(person)
    return [data["authenticators"] for kind, data in events if kind == "mfa.reset_applied"]


@pytest.mark.requirement("A2")
async def test_a_reset_removes_all_and_is_effective(world: World) -> None:
    application = await world.application()
    person, reset_id = world.person(application.tenant), uuid4()
    ids = [(await world.enroll(application, person)).authenticator_id for _ in range(3)]

    answer = await world.reset(person, reset_id)

    assert (answer.status_code, answer.json()) == (200, {"effective": True})
    removed = await _removed(world, person)
    assert [one["authenticator_id"] for one in removed] == ids
    assert {(one["reason"], one["reset_id"], one["epoch"]) for one in removed} == {
        ("reset", str(reset_id), 2)
    }
    assert await _applied(world, person) == [ids]
    [told] = world.neighbours.revoked
    assert told.reset_id == reset_id
    assert world.neighbours.revoked_ids() == ids


async def test_a_reset_ends_what_was_begun(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    enrolling = await world.start(application, person)

    await world.reset(person, uuid4())

    answer = await world.confirm(application, enrolling, world.code(enrolling))
    [row] = await world.rows("SELECT * FROM enrollment WHERE id = $1", enrolling.enrollment_id)
    assert (answer.status_code, row["status"], row["sealed"]) == (410, "cancelled", None)
    assert await _applied(world, person) == [[]]


async def test_the_same_reset_again_leaves_what_came_after_it(world: World) -> None:
    application = await world.application()
    person, reset_id = world.person(application.tenant), uuid4()
    old = await world.enroll(application, person)
    await world.reset(person, reset_id)
    new = await world.enroll(application, person)

    again = await world.reset(person, reset_id)
    await _request(world, person, reset_id)

    assert again.json() == {"effective": True}
    assert world.neighbours.revoked_ids() == [old.authenticator_id]
    path = f"/v1/authenticators/{new.authenticator_id}"
    assert (await world.ask(application, "GET", path)).json()["status"] == "active"
    assert await _applied(world, person) == [[old.authenticator_id]]


async def test_a_reset_is_not_effective_while_verification_is_down(world: World) -> None:
    application = await world.application()
    person, reset_id = world.person(application.tenant), uuid4()
    about = await world.enroll(application, person)
    world.neighbours.verification_down = True

    first = await world.reset(person, reset_id)
    world.neighbours.verification_down = False
    again = await world.reset(person, reset_id)

    assert (first.json(), again.json()) == ({"effective": False}, {"effective": True})
    [told] = world.neighbours.revoked
    assert (told.reset_id, world.neighbours.revoked_ids()) == (reset_id, [about.authenticator_id])
    assert len(await _removed(world, person)) == 1


async def test_a_reset_waits_for_an_earlier_removal_too(world: World) -> None:
    application = await world.application()
    person, reset_id = world.person(application.tenant), uuid4()
    first, second = [await world.enroll(application, person) for _ in range(2)]
    world.neighbours.verification_down = True
    await world.ask(application, "DELETE", f"/v1/authenticators/{first.authenticator_id}")

    assert (await world.reset(person, reset_id)).json() == {"effective": False}
    world.neighbours.verification_down = False
    assert (await world.reset(person, reset_id)).json() == {"effective": True}

    told = {
        (str(one.authenticator_id), body.reset_id)
        for body in world.neighbours.revoked
        for one in body.authenticators
    }
    assert told == {(first.authenticator_id, None), (second.authenticator_id, reset_id)}
    assert await _applied(world, person) == [[first.authenticator_id, second.authenticator_id]]
    assert len(await _removed(world, person)) == 2


async def test_a_second_reset_waits_for_what_the_first_left_pending(world: World) -> None:
    application = await world.application()
    person, first, second = world.person(application.tenant), uuid4(), uuid4()
    about = await world.enroll(application, person)
    world.neighbours.verification_down = True

    await world.reset(person, first)
    assert (await world.reset(person, second)).json() == {"effective": False}
    world.neighbours.verification_down = False
    assert (await world.reset(person, second)).json() == {"effective": True}

    [told] = world.neighbours.revoked
    assert (told.reset_id, world.neighbours.revoked_ids()) == (first, [about.authenticator_id])
    assert await _applied(world, person) == [[about.authenticator_id]] * 2


async def test_call_and_event_at_once_apply_a_reset_once(world: World) -> None:
    application = await world.application()
    for _ in range(5):
        person, reset_id = world.person(application.tenant), uuid4()
        ids = [(await world.enroll(application, person)).authenticator_id for _ in range(2)]

        await asyncio.gather(
            *(world.reset(person, reset_id) for _ in range(3)),
            *(_request(world, person, reset_id) for _ in range(3)),
        )

        assert await _applied(world, person) == [ids]
        assert [one["authenticator_id"] for one in await _removed(world, person)] == ids


async def test_a_reset_and_removals_at_once_remove_each_once(world: World) -> None:
    application = await world.application()
    for _ in range(5):
        person = world.person(application.tenant)
        ids = [(await world.enroll(application, person)).authenticator_id for _ in range(3)]

        await asyncio.gather(
            *(world.ask(application, "DELETE", f"/v1/authenticators/{one}") for one in ids[::-1]),
            world.reset(person, uuid4()),
            world.reset(person, uuid4()),
        )

        assert sorted(str(one["authenticator_id"]) for one in await _removed(world, person)) == ids


async def test_a_confirmation_and_a_reset_at_once_leave_no_doubt(world: World) -> None:
    application = await world.application()
    for _ in range(5):
        person = world.person(application.tenant)
        enrolling = await world.start(application, person)

        confirmed, _ = await asyncio.gather(
            world.confirm(application, enrolling, world.code(enrolling)),
            world.reset(person, uuid4()),
        )

        # Either the enrollment was ended, or what it became was removed.
        active = await world.rows(
            "SELECT 1 FROM authenticator WHERE subject_ref = $1 AND status = 'active'",
            person.subject_ref,
        )
        assert confirmed.status_code in (200, 410)
        assert active == []
        [applied] = await _applied(world, person)
        assert applied == (
            [confirmed.json()["authenticator_id"]] if confirmed.status_code == 200 else []
        )


async def test_a_reset_of_nobody_removes_nothing(world: World) -> None:
    person = Person(uuid4(), uuid4(), "nobody")

    answer = await world.reset(person, uuid4())

    assert answer.json() == {"effective": True}
    assert await _applied(world, person) == [[]]
