import asyncio
from uuid import uuid4

from contracts.envelope import about_person
from contracts.policy import SUBJECT_STATE, SubjectState
from contracts.vocabulary import Language
from libs.postgres.pool import tenant_transaction
from tests.integration.enrollment.things import Person, until
from tests.integration.enrollment.world import World


async def _hear_of(world: World, person: Person, *, version: int = 2, deleted: bool = True) -> None:
    """Let policy's state of a subject come."""
    state = SubjectState(
        subject_ref=person.subject_ref,
        version=version,
        deleted=deleted,
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
        await world.parts.events.handlers()[SUBJECT_STATE.name](tx, event)


async def _rows(world: World, person: Person, table: str) -> list[dict[str, object]]:
    query = f"SELECT * FROM {table} WHERE subject_ref = $1 ORDER BY id"
    return list(await world.rows(query, person.subject_ref))


async def _removed(world: World, person: Person) -> list[object]:
    return [
        (data["authenticator_id"], data["epoch"], data["reason"], data["reset_id"])
        for kind, data in await world.events(person)
        if kind == "mfa.authenticator_removed"
    ]


async def test_nothing_of_a_deleted_subject_is_left_but_tombstones(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    about = [await world.enroll(application, person, name="Phone") for _ in range(2)]
    await world.start(application, person, name="Tablet")

    await _hear_of(world, person)

    assert await _removed(world, person) == [
        (one.authenticator_id, 2, "removed", None) for one in about
    ]
    rows = await _rows(world, person, "authenticator")
    assert {(row["status"], row["sealed"]) for row in rows} == {("removing", None)}
    pending = (await _rows(world, person, "enrollment"))[-1]
    assert (pending["status"], pending["sealed"], pending["sealed_name"]) == (
        "cancelled",
        None,
        None,
    )
    assert [await world.claim(one, uuid4()) for one in about] == [410, 410]


async def test_verification_is_told_until_it_knows(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    about = await world.enroll(application, person, name="Phone")
    stop = asyncio.Event()
    retrying = asyncio.create_task(world.parts.workers.retry_revocations(stop))

    await _hear_of(world, person)

    async def is_effective() -> bool:
        [row] = await _rows(world, person, "authenticator")
        return (row["status"], row["sealed_name"]) == ("removed", None)

    await until(is_effective)
    stop.set()
    await retrying
    # Beside it the worker may find what other tests have left.
    assert world.neighbours.revoked_ids().count(about.authenticator_id) == 1


async def test_hearing_it_again_removes_nothing_more(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    await world.enroll(application, person)

    for version in (2, 2, 3):
        await _hear_of(world, person, version=version)

    assert len(await _removed(world, person)) == 1


async def test_a_change_of_a_subject_removes_nothing(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    await world.enroll(application, person)
    enrolling = await world.start(application, person)

    await _hear_of(world, person, deleted=False)

    assert await _removed(world, person) == []
    answer = await world.confirm(application, enrolling, world.code(enrolling))
    assert answer.status_code == 200


async def test_others_keep_what_they_have(world: World) -> None:
    application = await world.application()
    person, other = world.person(application.tenant), world.person(application.tenant)
    elsewhere = Person((await world.application()).tenant, other.subject_ref, "elsewhere")
    await world.enroll(application, other)

    await _hear_of(world, person)
    await _hear_of(world, elsewhere)

    assert await _removed(world, other) == []


async def test_an_enrollment_that_was_begun_cannot_be_confirmed_any_more(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    enrolling = await world.start(application, person)

    await _hear_of(world, person)

    answer = await world.confirm(application, enrolling, world.code(enrolling))
    assert answer.status_code == 410
    assert await _rows(world, person, "authenticator") == []


async def test_whom_policy_named_before_it_deleted_them_begins_no_enrollment(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    body = {"subject": person.name, "factor": "totp"}
    # The event overtakes policy's answer to enrollment's own question.
    await _hear_of(world, person)

    answer = await world.ask(application, "POST", "/v1/enrollments", body)

    assert (answer.status_code, answer.json()["code"]) == (404, "subject_unknown")
    assert await _rows(world, person, "enrollment") == []


async def test_a_confirmation_and_the_deletion_at_once_leave_no_authenticator(world: World) -> None:
    application = await world.application()
    for _ in range(5):
        person = world.person(application.tenant)
        enrolling = await world.start(application, person)

        confirmed, _ = await asyncio.gather(
            world.confirm(application, enrolling, world.code(enrolling)),
            _hear_of(world, person),
        )

        rows = await _rows(world, person, "authenticator")
        assert confirmed.status_code in (200, 410)
        assert [row["status"] for row in rows] == ["removing"] * (confirmed.status_code == 200)
        assert len(await _removed(world, person)) == len(rows)
