"""Waits and unlocking, attacked: what restarts a wait, what unlocking leaves, who says it last."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from contracts.vocabulary import Factor
from services.verification.script_calls import CacheDown
from services.verification.use_cases import guesses
from services.verification.use_cases.pins import TooManyPins
from tests.integration.verification.conftest import Application, Person, World, reason_of
from tests.integration.verification.factors import ask, with_pin
from tests.integration.verification.test_families_and_waits import ALL, patient, unlock, wrong

__all__ = ["patient"]


async def waited_out(world: World) -> tuple[Application, Person]:
    """Return somebody with five failures in a row, when the wait after them is over."""
    application = await world.application(scopes=ALL, factors=(Factor.TOTP, Factor.PIN))
    person = await world.person(application.tenant)
    assert [await wrong(world, application, person) for _ in range(5)] == ["wrong_code"] * 5
    world.clock.forward(timedelta(seconds=31))
    return application, person


@pytest.mark.parametrize("redis", ["there", "away"])
async def test_a_guess_that_was_never_made_begins_no_new_wait(patient: World, redis: str) -> None:
    application, person = await waited_out(patient)
    patient.cache._is_safe = redis == "there"

    # A phone that was removed: nothing is tried, and the guess is given back.
    other = await ask(
        patient, application, person, patient.code(person), authenticator=str(uuid4())
    )
    answer = await patient.verify(application, person, patient.code(person))

    assert reason_of(other) == "nothing_enrolled"
    assert (answer.status_code, reason_of(answer)) == (200, None)


async def test_a_503_begins_no_new_wait(patient: World, monkeypatch: pytest.MonkeyPatch) -> None:
    application = await patient.application(scopes=ALL, factors=(Factor.TOTP, Factor.PIN))
    person = await patient.person(application.tenant)
    await with_pin(patient, person, "48291357")
    for _ in range(5):
        await wrong(patient, application, person)
    patient.clock.forward(timedelta(seconds=31))

    def full(*_: object) -> None:
        raise TooManyPins

    with monkeypatch.context() as somebody_elses_flood:
        somebody_elses_flood.setattr(patient.parts.door.verify.compute.pins, "begin", full)
        busy = await patient.verify(application, person, "48291357")
    answer = await patient.verify(application, person, "48291357")

    assert busy.status_code == 503
    assert (answer.status_code, reason_of(answer)) == (200, None)


async def test_postgresql_has_the_last_word_on_a_wait_too(patient: World) -> None:
    application = await patient.application(scopes=ALL)
    person = await patient.person(application.tenant)
    # This Redis has its copy, and has not heard of what another one let through (R5).
    await patient.verify(application, person, patient.code(person, steps=-1))
    await patient.rows(
        "UPDATE subject SET consecutive = 12, spent = 8, failed_at = $2 WHERE id = $1 RETURNING id",
        person.subject_ref,
        patient.clock(),
    )

    answer = await patient.verify(application, person, patient.code(person))

    assert answer.status_code == 403


async def test_unlocking_while_redis_is_away_frees_guesses_when_it_is_back(world: World) -> None:
    application = await world.application(scopes=ALL)
    person = await world.person(application.tenant)
    for _ in range(11):
        await wrong(world, application, person)

    async def away(*_places: object, **_named: object) -> None:
        raise CacheDown("away")

    told, world.cache.tell_unlocked = world.cache.tell_unlocked, away  # type: ignore[method-assign]
    unlocked = await unlock(world, application, person.name)
    world.cache.tell_unlocked = told  # type: ignore[method-assign]
    world.clock.forward(2 * guesses._BELIEVED_FOR)
    world.parts.door.verify.guesses._believed_until.clear()
    answer = await world.verify(application, person, world.code(person))

    assert unlocked.status_code == 204
    assert (answer.status_code, reason_of(answer)) == (200, None)


async def test_unlocking_holds_where_something_newer_was_told_first(world: World) -> None:
    application = await world.application(scopes=ALL)
    person = await world.person(application.tenant)
    for _ in range(11):
        await wrong(world, application, person)
    told = world.cache.tell_unlocked

    async def later(tenant: UUID, subject: UUID, *, version: int, level: float) -> None:
        # Another process comes in between: a phone is added, a lock looked up, a replay refused.
        await world.second_authenticator(person)
        await told(tenant, subject, version=version, level=level)

    world.cache.tell_unlocked = later  # type: ignore[method-assign]
    unlocked = await unlock(world, application, person.name)
    answer = await ask(
        world,
        application,
        person,
        world.code(person),
        authenticator=str(person.authenticator_id),
    )

    assert unlocked.status_code == 204
    assert (answer.status_code, reason_of(answer)) == (200, None)
