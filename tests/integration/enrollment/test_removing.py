import asyncio
import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from contracts.envelope import about_person
from contracts.verification import CREDENTIAL_FORGOTTEN, CredentialForgotten
from libs.postgres.pool import tenant_transaction
from libs.web.internal_client import ANSWERED_WITHIN
from services.enrollment.store.due import take_revocations
from tests.fixtures.services import ServiceDatabase
from tests.integration.enrollment.things import Application, Enrolled, until
from tests.integration.enrollment.world import World, running_world


async def _enrolled(world: World) -> tuple[Application, Enrolled]:
    application = await world.application()
    person = world.person(application.tenant)
    return application, await world.enroll(application, person, name="Old phone")


def _path(about: Enrolled) -> str:
    return f"/v1/authenticators/{about.authenticator_id}"


async def _listed(world: World, application: Application, about: Enrolled) -> list[dict[str, str]]:
    body = {"subject": about.person.name}
    answer = await world.ask(application, "POST", "/v1/authenticators/search", body)
    assert answer.status_code == 200
    found: list[dict[str, str]] = answer.json()["authenticators"]
    return found


@pytest.mark.requirement("A1")
async def test_lists_what_a_subject_has(world: World) -> None:
    application, about = await _enrolled(world)
    second = await world.enroll(application, about.person)

    found = await _listed(world, application, about)

    ids = [about.authenticator_id, second.authenticator_id]
    assert [one["authenticator_id"] for one in found] == ids
    assert [one["name"] for one in found] == ["Old phone", None]
    assert {(one["factor"], one["status"]) for one in found} == {("totp", "active")}
    shown = await world.ask(application, "GET", _path(about))
    assert shown.json() == found[0]
    assert shown.headers["cache-control"] == "no-store"


@pytest.mark.requirement("A1")
async def test_removal_is_effective_when_verification_has_committed_it(world: World) -> None:
    application, about = await _enrolled(world)

    answer = await world.ask(application, "DELETE", _path(about))

    assert (answer.status_code, answer.json()) == (200, {"status": "effective"})
    [told] = world.neighbours.revoked
    assert (told.subject_ref, told.reset_id) == (about.person.subject_ref, None)
    assert [(str(one.authenticator_id), one.epoch) for one in told.authenticators] == [
        (about.authenticator_id, 2)
    ]
    kind, data = (await world.events(about.person))[-1]
    assert kind == "mfa.authenticator_removed"
    assert (data["epoch"], data["reason"], data["reset_id"]) == (2, "removed", None)
    assert await _listed(world, application, about) == []
    assert (await world.ask(application, "GET", _path(about))).json()["status"] == "removed"


async def test_removal_is_committed_before_verification_is_told(world: World) -> None:
    application, about = await _enrolled(world)
    world.neighbours.held = asyncio.Event()
    removing = asyncio.create_task(world.ask(application, "DELETE", _path(about)))

    async def announced() -> bool:
        return (await world.event_types(about.person))[-1] == "authenticator_removed"

    await until(announced)

    assert not removing.done()
    assert (await world.ask(application, "GET", _path(about))).json()["status"] == "removing"
    world.neighbours.held.set()
    assert (await removing).status_code == 200


async def test_removal_is_pending_while_verification_is_down(world: World) -> None:
    application, about = await _enrolled(world)
    world.neighbours.verification_down = True

    first = await world.ask(application, "DELETE", _path(about))
    found = await _listed(world, application, about)
    world.neighbours.verification_down = False
    again = await world.ask(application, "DELETE", _path(about))
    once_more = await world.ask(application, "DELETE", _path(about))

    assert (first.status_code, first.json()) == (202, {"status": "pending"})
    assert [(one["status"], one["name"]) for one in found] == [("removing", "Old phone")]
    assert await world.claim(about, uuid4()) == 410
    for answer in (again, once_more):
        assert (answer.status_code, answer.json()) == (200, {"status": "effective"})
    assert world.neighbours.revoked_ids() == [about.authenticator_id]
    assert (await world.event_types(about.person)).count("authenticator_removed") == 1


@pytest.mark.fault("R10")
async def test_removal_is_pending_while_verification_does_not_answer(world: World) -> None:
    application, about = await _enrolled(world)
    world.neighbours.held = asyncio.Event()

    begun = time.monotonic()
    silent = await world.ask(application, "DELETE", _path(about))
    took = time.monotonic() - begun
    world.neighbours.held.set()
    again = await world.ask(application, "DELETE", _path(about))

    assert (silent.status_code, silent.json()) == (202, {"status": "pending"})
    assert took < ANSWERED_WITHIN.total_seconds() + 1
    assert (again.status_code, again.json()) == (200, {"status": "effective"})


async def test_parallel_removals_are_one(world: World) -> None:
    application, about = await _enrolled(world)

    answers = await asyncio.gather(
        *(world.ask(application, "DELETE", _path(about)) for _ in range(6))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert (await world.event_types(about.person)).count("authenticator_removed") == 1


async def test_removal_leaves_the_others(world: World) -> None:
    application, about = await _enrolled(world)
    other = await world.enroll(application, about.person)

    await world.ask(application, "DELETE", _path(about))

    [left] = await _listed(world, application, about)
    assert (left["authenticator_id"], left["status"]) == (other.authenticator_id, "active")
    assert world.neighbours.revoked_ids() == [about.authenticator_id]


async def test_removal_erases_secret_and_name(world: World) -> None:
    application, about = await _enrolled(world)

    await world.ask(application, "DELETE", _path(about))

    [row] = await world.rows("SELECT * FROM authenticator WHERE id = $1", about.authenticator_id)
    assert (row["sealed"], row["sealed_name"], row["status"]) == (None, None, "removed")


async def test_the_workers_retry_until_verification_answers(
    world: World, stored: ServiceDatabase
) -> None:
    application, about = await _enrolled(world)
    world.neighbours.verification_down = True
    await world.ask(application, "DELETE", _path(about))
    world.neighbours.verification_down = False
    stop = asyncio.Event()

    async def removed() -> bool:
        return not await _listed(world, application, about)

    async with running_world(stored, clock=world.clock, neighbours=world.neighbours) as second:
        working = [
            asyncio.create_task(process.parts.workers.retry_revocations(stop))
            for process in (world, second)
        ]
        await until(removed)
        stop.set()
        await asyncio.gather(*working)

    assert world.neighbours.revoked_ids().count(about.authenticator_id) == 1


async def test_a_revocation_that_is_due_is_taken_by_one_worker(world: World) -> None:
    application, about = await _enrolled(world)
    world.neighbours.verification_down = True
    await world.ask(application, "DELETE", _path(about))
    pool, mine = world.plumbing.worker_pool, (about.person.tenant, about.person.subject_ref)

    async def taken(*, after: float) -> bool:
        now = world.clock() + timedelta(seconds=after)
        return mine in await take_revocations(pool, now=now, most=1000)

    assert [await taken(after=after) for after in (0, 4, 4, 8, 10)] == [
        False,
        True,
        False,
        False,
        True,
    ]


async def test_shows_operators_what_is_pending(world: World) -> None:
    application, about = await _enrolled(world)
    world.neighbours.verification_down = True
    await world.ask(application, "DELETE", _path(about))
    stop = asyncio.Event()
    working = asyncio.create_task(world.parts.workers.retry_revocations(stop))

    async def counted() -> bool:
        return world.parts.workers.backlog.revocations > 0

    await until(counted)
    metrics = (await world.internal.get("/metrics")).text
    stop.set()
    await working
    assert "watchword_revocations_pending 0.0" not in metrics
    assert "watchword_revocations_pending" in metrics


async def _say_forgotten(world: World, about: Enrolled, *, epoch: int) -> None:
    person = about.person
    event = about_person(
        CREDENTIAL_FORGOTTEN,
        CredentialForgotten(
            authenticator_id=UUID(about.authenticator_id), epoch=epoch, reset_id=None
        ),
        tenant=person.tenant,
        subject_ref=person.subject_ref,
        now=world.clock(),
    )
    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await world.parts.events.handlers()[CREDENTIAL_FORGOTTEN.name](tx, event)


async def test_the_event_of_verification_makes_it_effective(world: World) -> None:
    application, about = await _enrolled(world)
    world.neighbours.verification_down = True
    await world.ask(application, "DELETE", _path(about))

    await _say_forgotten(world, about, epoch=2)

    answer = await world.ask(application, "DELETE", _path(about))
    assert (answer.status_code, answer.json()) == (200, {"status": "effective"})
    assert world.neighbours.revoked == []


async def test_the_event_of_verification_removes_nothing_that_is_active(world: World) -> None:
    application, about = await _enrolled(world)

    await _say_forgotten(world, about, epoch=2)

    [found] = await _listed(world, application, about)
    assert (found["status"], found["name"]) == ("active", "Old phone")
