import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from joserfc import jwt

from tests.fixtures.services import IDENTITY_KEYS
from tests.integration.enrollment.things import Enrolled, until
from tests.integration.enrollment.world import World

TEN_MINUTES = timedelta(minutes=10)


@pytest.mark.requirement("E2")
async def test_nothing_counts_before_the_code(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    enrolling = await world.start(application, person)
    [row] = await world.rows("SELECT * FROM enrollment WHERE id = $1", enrolling.enrollment_id)

    would_be = Enrolled(person, str(row["authenticator_id"]), "", secret="", step=0)

    assert await world.event_types(person) == ["enrollment_started"]
    assert await world.claim(would_be, uuid4()) == 404
    found = await world.ask(
        application, "POST", "/v1/authenticators/search", {"subject": person.name}
    )
    assert found.json() == {"authenticators": []}
    path = f"/v1/authenticators/{would_be.authenticator_id}"
    assert (await world.ask(application, "GET", path)).status_code == 404
    assert (await world.ask(application, "DELETE", path)).status_code == 404


async def test_the_current_code_makes_an_authenticator(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)

    enrolled = await world.enroll(application, person)

    [_, (kind, data)] = await world.events(person)
    assert kind == "mfa.enrolled"
    assert (data["authenticator_id"], data["epoch"]) == (enrolled.authenticator_id, 1)
    assert data["application_id"] == str(application.application_id)


async def test_a_wrong_code_costs_a_try_and_the_sixth_finds_nothing(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    enrolling = await world.start(application, person)

    answers = [
        await world.confirm(application, enrolling, world.wrong_code(enrolling)) for _ in range(5)
    ]
    sixth = await world.confirm(application, enrolling, world.code(enrolling))

    assert [answer.status_code for answer in answers] == [403] * 5
    assert [answer.json()["detail"] for answer in answers] == ["4", "3", "2", "1", "0"]
    assert answers[0].json()["code"] == "wrong_code"
    assert (sixth.status_code, sixth.json()["code"]) == (410, "gone")
    [row] = await world.rows("SELECT * FROM enrollment WHERE id = $1", enrolling.enrollment_id)
    assert (row["status"], row["sealed"]) == ("exhausted", None)
    assert await world.event_types(person) == ["enrollment_started"]


async def test_the_fifth_try_may_be_the_right_one(world: World) -> None:
    application = await world.application()
    enrolling = await world.start(application, world.person(application.tenant))
    for _ in range(4):
        await world.confirm(application, enrolling, world.wrong_code(enrolling))

    answer = await world.confirm(application, enrolling, world.code(enrolling))

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "code", ["12345", "1234567", "12345\uff16", "١٢٣٤٥٦", " 123456", "12 456", "", "²34567"]
)
async def test_a_code_of_another_form_is_refused_and_costs_no_try(world: World, code: str) -> None:
    application = await world.application()
    enrolling = await world.start(application, world.person(application.tenant))

    answer = await world.confirm(application, enrolling, code)

    shown = await world.ask(application, "GET", f"/v1/enrollments/{enrolling.enrollment_id}")
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")
    assert not code.strip() or code not in answer.text
    assert shown.json()["tries_left"] == 5


@pytest.mark.parametrize(("after", "status"), [(-5, 200), (1, 410)])
async def test_an_enrollment_lives_ten_minutes(world: World, after: int, status: int) -> None:
    application = await world.application()
    enrolling = await world.start(application, world.person(application.tenant))
    world.clock.forward(TEN_MINUTES + timedelta(seconds=after))

    answer = await world.confirm(application, enrolling, world.code(enrolling))

    shown = await world.ask(application, "GET", f"/v1/enrollments/{enrolling.enrollment_id}")
    assert answer.status_code == status
    assert shown.json()["status"] == ("confirmed" if status == 200 else "expired")


async def test_secrets_of_expired_enrollments_are_erased(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    begun = await world.start(application, person, name="My phone")
    done = await world.start(application, person)
    await world.confirm(application, done, world.code(done))
    stop = asyncio.Event()
    query = "SELECT sealed, sealed_name, confirmed_code, status FROM enrollment WHERE id = $1"

    async def erased() -> bool:
        rows = [(await world.rows(query, one.enrollment_id))[0] for one in (begun, done)]
        wanted = ("expired", "confirmed")
        return [
            row["status"] == status
            and not any((row["sealed"], row["sealed_name"], row["confirmed_code"]))
            for row, status in zip(rows, wanted, strict=True)
        ] == [True, True]

    assert not await erased()
    world.clock.forward(TEN_MINUTES)
    working = asyncio.create_task(world.parts.workers.forget(stop))
    await until(erased)
    stop.set()
    await working


async def test_of_parallel_confirmations_one_makes_the_authenticator(world: World) -> None:
    application = await world.application()
    for _ in range(5):
        person = world.person(application.tenant)
        enrolling = await world.start(application, person)
        codes = [world.code(enrolling, steps=steps) for steps in (-1, 0, 1)] * 2

        answers = await asyncio.gather(
            *(world.confirm(application, enrolling, code) for code in codes)
        )

        done = [answer.json() for answer in answers if answer.status_code == 200]
        # The code that won is asked twice; its repeat hears the same, the others that it is late.
        assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409, 409, 409]
        assert done[0] == done[1]
        assert await world.event_types(person) == ["enrollment_started", "enrolled"]
        found = await world.rows(
            "SELECT * FROM authenticator WHERE subject_ref = $1", person.subject_ref
        )
        assert len(found) == 1


async def test_a_lost_answer_is_given_again_with_the_same_ticket(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    enrolling = await world.start(application, person)
    code = world.code(enrolling)
    first = await world.confirm(application, enrolling, code)

    world.clock.forward(timedelta(minutes=8))
    again = await world.confirm(application, enrolling, code)

    assert (again.status_code, again.json()) == (200, first.json())
    assert await world.event_types(person) == ["enrollment_started", "enrolled"]
    world.clock.forward(timedelta(minutes=3))
    late = await world.confirm(application, enrolling, code)
    assert (late.status_code, late.json()["code"]) == (409, "already_confirmed")


async def test_a_ticket_cannot_be_guessed_out_of_a_confirmed_enrollment(world: World) -> None:
    application = await world.application()
    enrolling = await world.start(application, world.person(application.tenant))
    code = world.code(enrolling)
    await world.confirm(application, enrolling, code)

    for _ in range(5):
        answer = await world.confirm(application, enrolling, world.wrong_code(enrolling))
        assert (answer.status_code, answer.json()["code"]) == (409, "already_confirmed")

    assert (await world.confirm(application, enrolling, code)).status_code == 409


async def test_the_ticket_says_what_recovery_needs(world: World) -> None:
    application = await world.application()
    person = world.person(application.tenant)

    enrolling = await world.start(application, person)
    answer = (await world.confirm(application, enrolling, world.code(enrolling))).json()

    token = jwt.decode(
        answer["recovery_ticket"], IDENTITY_KEYS["enrollment"], algorithms=["Ed25519"]
    )
    [confirmed] = await world.rows(
        "SELECT confirmed_at FROM enrollment WHERE id = $1", enrolling.enrollment_id
    )
    issued = token.claims["iat"]
    assert token.claims == {
        "iss": "enrollment",
        "aud": "recovery-ticket",
        "sub": str(person.subject_ref),
        "tenant": str(person.tenant),
        "authenticator": answer["authenticator_id"],
        "jti": enrolling.enrollment_id,
        "iat": issued,
        "exp": int(issued) + 3600,
    }
    assert datetime.fromtimestamp(issued, UTC) == confirmed["confirmed_at"]
    assert abs(issued - world.clock().timestamp()) < 60
