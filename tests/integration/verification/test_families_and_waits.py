"""Budgets of their own for recovery codes, growing waits, and unlocking."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from contracts.vocabulary import Factor, Scope
from services.verification.script_calls import CacheDown
from services.verification.use_cases.pins import TooManyPins
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase
from tests.integration.verification.conftest import (
    Application,
    Person,
    World,
    reason_of,
    running_world,
)
from tests.integration.verification.factors import CODES, with_codes
from tests.integration.verification.lockout_runs import lockout_run

ALL = (Scope.VERIFY, Scope.VERIFY_REASONS, Scope.MANAGE)
NOBODYS = "00000-00000"


@pytest.fixture
async def patient(
    service_database: MakeDatabase, servers: RunningServers, tmp_path: Path
) -> AsyncIterator[World]:
    """Verification with the waits of the product."""
    stored = await service_database("verification")
    async with running_world(
        stored, servers.valkey_url, tmp_path, patience=timedelta(seconds=10), waits=True
    ) as world:
        yield world


async def unlock(world: World, application: Application, name: str) -> httpx2.Response:
    return await world.public.post(
        "/v1/unlocks",
        json={"subject": name},
        headers={"Authorization": f"Bearer {application.key}"},
    )


async def wrong(world: World, application: Application, person: Person) -> object:
    answer = await world.verify(application, person, world.wrong_code(person))
    return reason_of(answer)


@pytest.mark.fault("R35")
@pytest.mark.security("S2")
async def test_a_flood_of_wrong_codes_locks_nobody_out_of_recovery(world: World) -> None:
    application = await world.application(scopes=ALL, factors=(Factor.TOTP, Factor.RECOVERY_CODE))
    crowd = [await world.person(application.tenant) for _ in range(12)]
    for person in crowd:
        await with_codes(world, person)

    for _ in range(12):
        await asyncio.gather(*(wrong(world, application, person) for person in crowd))
    shut = [reason_of(await world.verify(application, p, world.code(p))) for p in crowd]
    # From here on their bucket has a time of its own, beside the full one of the other codes.
    mistyped = [reason_of(await world.verify(application, p, NOBODYS)) for p in crowd]
    let_in = [(await world.verify(application, person, CODES[0])).status_code for person in crowd]

    assert set(shut) == {"budget"}
    assert set(mistyped) == {"wrong_code"}
    assert set(let_in) == {200}


@pytest.mark.fault("R35")
async def test_whose_guesses_were_burnt_gets_in_otherwise_and_heals(patient: World) -> None:
    numbers = await lockout_run(patient, people=8)

    # One guess comes back in 72 minutes, and all were burnt at the same moment.
    assert 3600 < numbers.pop("seconds_to_heal") <= 4321
    assert numbers == {
        "people": 8,
        "guesses_evaluated": 80,
        "locked_out_of_their_phone": 8,
        "let_in_otherwise": 8,
    }


@pytest.mark.security("S2")
async def test_wrong_recovery_codes_leave_other_codes_alone(world: World) -> None:
    application = await world.application(scopes=ALL, factors=(Factor.TOTP, Factor.RECOVERY_CODE))
    person = await world.person(application.tenant)
    await with_codes(world, person)

    reasons = Counter(
        [reason_of(await world.verify(application, person, NOBODYS)) for _ in range(12)]
    )
    recovery = await world.verify(application, person, CODES[0])
    usual = await world.verify(application, person, world.code(person))

    assert reasons == {"wrong_code": 10, "budget": 2}
    assert (reason_of(recovery), usual.status_code) == ("budget", 200)


@pytest.mark.security("S2")
async def test_after_five_failures_each_further_one_waits_longer(patient: World) -> None:
    application = await patient.application(scopes=ALL)
    person = await patient.person(application.tenant)
    first = [await wrong(patient, application, person) for _ in range(5)]

    waits = []
    for _ in range(4):
        answer = await patient.verify(application, person, patient.code(person))
        assert reason_of(answer) == "waiting"
        waits.append(int(answer.headers["retry-after"]))
        patient.clock.forward(timedelta(seconds=waits[-1] + 1))
        assert await wrong(patient, application, person) == "wrong_code"

    assert first == ["wrong_code"] * 5
    assert [round(seconds / 30) for seconds in waits] == [1, 2, 4, 8]


@pytest.mark.security("S2")
@pytest.mark.fault("R3")
@pytest.mark.parametrize("with_redis", [True, False])
async def test_of_many_guesses_after_a_wait_the_bucket_says_how_many(
    patient: World, with_redis: bool
) -> None:
    application = await patient.application(scopes=ALL)
    person = await patient.person(application.tenant)
    for _ in range(5):
        await wrong(patient, application, person)
    patient.clock.forward(timedelta(seconds=31))
    patient.cache._is_safe = with_redis

    reasons = Counter(
        await asyncio.gather(*(wrong(patient, application, person) for _ in range(8)))
    )

    # Half of it went before the wait.
    assert 1 <= reasons["wrong_code"] <= 5


@pytest.mark.security("S2")
async def test_the_wait_is_the_same_without_redis(patient: World) -> None:
    application = await patient.application(scopes=ALL)
    person = await patient.person(application.tenant)
    for _ in range(5):
        await wrong(patient, application, person)
    patient.cache._is_safe = False

    at_once = await patient.verify(application, person, patient.code(person))
    patient.clock.forward(timedelta(seconds=31))
    later = await patient.verify(application, person, patient.code(person))

    assert reason_of(at_once) == "waiting"
    assert later.status_code == 200


async def test_a_right_code_ends_the_waits(patient: World) -> None:
    application = await patient.application(scopes=ALL)
    person = await patient.person(application.tenant)
    for _ in range(5):
        await wrong(patient, application, person)
    patient.clock.forward(timedelta(seconds=31))

    right = await patient.verify(application, person, patient.code(person))
    again = [await wrong(patient, application, person) for _ in range(2)]

    assert right.status_code == 200
    assert again == ["wrong_code"] * 2


async def test_unlocking_ends_a_lock_at_once_and_says_so(world: World) -> None:
    application, person = await locked(world)
    before = await world.verify(application, person, world.code(person))

    answer = await unlock(world, application, person.name)
    after = await world.verify(application, person, world.code(person))

    assert reason_of(before) == "locked"
    assert (answer.status_code, answer.content) == (204, b"")
    assert after.status_code == 200
    assert (await world.events(person)).count("mfa.unlocked") == 1


async def test_unlocking_leaves_three_guesses(world: World) -> None:
    application = await world.application(scopes=ALL)
    person = await world.person(application.tenant)
    for _ in range(11):
        await wrong(world, application, person)

    await unlock(world, application, person.name)
    reasons = Counter([await wrong(world, application, person) for _ in range(7)])

    assert reasons == {"wrong_code": 3, "budget": 4}


async def test_unlocking_needs_the_scope_and_a_known_name(world: World) -> None:
    manager, plain = await world.application(scopes=ALL), await world.application()
    person = await world.person(manager.tenant)

    assert (await unlock(world, manager, "nobody@example.org")).status_code == 404
    assert (await unlock(world, plain, person.name)).status_code == 403
    # Of another tenant: as unknown as a stranger.
    other = await world.application(scopes=ALL)
    assert (await unlock(world, other, person.name)).status_code == 404


async def test_a_failure_of_before_does_not_lock_again(world: World) -> None:
    application, person = await locked(world)
    await unlock(world, application, person.name)
    right = await world.verify(application, person, world.code(person, steps=-1))

    # Another process tells Redis late what PostgreSQL had counted before.
    world.cache.tell_failed(
        person.tenant, person.subject_ref, version=1, consecutive=50, level=10.0, at=world.clock()
    )
    after = await world.verify(application, person, world.code(person))

    assert (right.status_code, after.status_code) == (200, 200)


async def test_a_redis_that_missed_the_unlocking_is_told_by_the_next_guess(world: World) -> None:
    application, person = await locked(world)
    assert await wrong(world, application, person) == "locked"

    async def away(*_places: object, **_named: object) -> None:
        raise CacheDown("away")

    told, world.cache.tell_unlocked = world.cache.tell_unlocked, away  # type: ignore[method-assign]
    await unlock(world, application, person.name)
    world.cache.tell_unlocked = told  # type: ignore[method-assign]
    world.parts.door.verify.guesses._believed_until.clear()

    after = await world.verify(application, person, world.code(person))

    assert after.status_code == 200


async def test_unlocking_amid_guesses_loses_no_failure(world: World) -> None:
    application = await world.application(scopes=ALL)
    person = await world.person(application.tenant)

    async def unlock_often() -> None:
        for _ in range(10):
            await unlock(world, application, person.name)

    guesses = asyncio.gather(*(wrong(world, application, person) for _ in range(60)))
    await asyncio.gather(unlock_often(), guesses)
    reasons = Counter(await guesses)

    failed = (await world.events(person)).count("mfa.verification_failed")
    assert failed == reasons["wrong_code"] <= 10 + 10 * 3


async def locked(world: World) -> tuple[Application, Person]:
    """Return somebody with so many failures in a row that no code is looked at."""
    application = await world.application(scopes=ALL)
    person = await world.person(application.tenant)
    await world.rows(
        "UPDATE subject SET consecutive = 50 WHERE id = $1 RETURNING id", person.subject_ref
    )
    with suppress(CacheDown):
        await world.cache.drained()
    return application, person


async def test_a_new_authenticator_ends_a_lock_that_redis_knows_of(world: World) -> None:
    application, person = await locked(world)
    assert reason_of(await world.verify(application, person, world.code(person))) == "locked"

    second = await world.second_authenticator(person)
    world.parts.door.verify.guesses._believed_until.clear()

    assert (await world.verify(application, second, world.code(second))).status_code == 200


@pytest.mark.parametrize("with_redis", [True, False])
async def test_a_guess_that_nobody_looked_at_begins_no_wait(
    patient: World, with_redis: bool
) -> None:
    application = await patient.application(scopes=ALL)
    person = await patient.person(application.tenant)
    for _ in range(5):
        await wrong(patient, application, person)
    patient.cache._is_safe = with_redis
    patient.clock.forward(timedelta(seconds=31))

    async def busy(*_places: object, **_named: object) -> None:
        raise TooManyPins

    verify = patient.parts.door.verify
    compute = verify.compute
    object.__setattr__(verify, "compute", busy)
    sent_away = await patient.verify(application, person, patient.code(person))
    object.__setattr__(verify, "compute", compute)
    answer = await patient.verify(application, person, patient.code(person))

    assert (sent_away.status_code, answer.status_code) == (503, 200)
