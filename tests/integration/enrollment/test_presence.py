"""Whoever changes what protects a person shows that the person is present."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx2
import pytest

from contracts.roles import Role
from contracts.vocabulary import Factor, Scope
from tests.integration.enrollment.starting import begin, confirm, enroll
from tests.integration.enrollment.things import Application, Enrolled, Person
from tests.integration.enrollment.world import World

BOTH = (Factor.TOTP, Factor.RECOVERY_CODE)
NONE = ""


async def start(
    world: World, application: Application, person: Person, receipt: str
) -> httpx2.Response:
    wish = {"subject": person.name, "factor": "recovery_code"}
    return await world.ask(application, "POST", "/v1/enrollments", wish, receipt=receipt)


async def remove(
    world: World, application: Application, about: Enrolled, receipt: str
) -> httpx2.Response:
    path = f"/v1/authenticators/{about.authenticator_id}"
    return await world.ask(application, "DELETE", path, receipt=receipt)


async def disable(
    world: World, application: Application, about: Enrolled, receipt: str
) -> httpx2.Response:
    body = {"subject": about.person.name}
    return await world.ask(application, "POST", "/v1/authenticators/removal", body, receipt=receipt)


async def enrolled(world: World, **more: object) -> tuple[Application, Enrolled]:
    application = await world.application(factors=BOTH, required=False, **more)  # type: ignore[arg-type]
    person = world.person(application.tenant)
    return application, await enroll(world, application, person, Factor.TOTP)


@pytest.mark.standard("NIST SP 800-63B-4 section 4.1: binding needs what is bound already")
async def test_nothing_is_changed_for_somebody_who_is_not_there(world: World) -> None:
    application, about = await enrolled(world)
    person = about.person

    answers = [
        await start(world, application, person, NONE),
        await remove(world, application, about, NONE),
        await disable(world, application, about, NONE),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert {answer.json()["code"] for answer in answers} == {"present_factor_required"}
    assert (await world.event_types(person))[-1] == "enrolled"


async def test_the_first_one_needs_no_receipt(world: World) -> None:
    application = await world.application(factors=BOTH)
    person = world.person(application.tenant)

    assert (await start(world, application, person, NONE)).status_code == 201


async def test_a_receipt_of_this_person_is_good_once(world: World) -> None:
    application, about = await enrolled(world)
    receipt = world.neighbours.receipt(application.application_id, about.authenticator_id)

    first = await start(world, application, about.person, receipt)
    again = await remove(world, application, about, receipt)

    assert first.status_code == 201
    assert (again.status_code, again.json()["code"]) == (403, "receipt_refused")


@pytest.mark.security("S1")
async def test_of_parallel_uses_of_a_receipt_one_counts(world: World) -> None:
    application, about = await enrolled(world)
    receipt = world.neighbours.receipt(application.application_id, about.authenticator_id)

    answers = await asyncio.gather(
        *(start(world, application, about.person, receipt) for _ in range(8))
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 7


@pytest.mark.security("S6")
async def test_what_is_no_receipt_of_this_person_here_and_now_is_refused(world: World) -> None:
    application, about = await enrolled(world)
    elsewhere = await world.application(tenant=application.tenant, factors=BOTH)
    other = await enroll(world, application, world.person(application.tenant), Factor.TOTP)
    stranger_at, stranger = await enrolled(world)
    sign, here, mine = world.neighbours.receipt, application.application_id, about.authenticator_id
    good = sign(here, mine)
    head, body, signature = good.split(".")
    now = int(world.clock().timestamp())
    refused = {
        "another person's": sign(here, other.authenticator_id),
        "another application's": sign(elsewhere.application_id, mine),
        "another tenant's": sign(stranger_at.application_id, stranger.authenticator_id),
        "nobody's": sign(here, uuid4()),
        "old": sign(here, mine, iat=now - 600, exp=now - 300),
        "of a remembered device": sign(here, mine, remembered=True),
        "changed": f"{head}.{body}x.{signature}",
        "unsigned": f"{head}.{body}.",
        "of other parts": f"{body}.{head}.{signature}",
        "no such thing": "x.y.z",
        "a word": "x",
    }

    for what, receipt in refused.items():
        answer = await start(world, application, about.person, receipt)
        assert (answer.status_code, answer.json()["code"]) == (403, "receipt_refused"), what

    assert (await start(world, application, about.person, good)).status_code == 201


async def test_a_recovery_ticket_is_no_proof_of_presence(world: World) -> None:
    application, about = await enrolled(world)

    answer = await start(world, application, about.person, about.ticket)

    assert (answer.status_code, answer.json()["code"]) == (403, "receipt_refused")


async def test_a_removed_authenticator_shows_nothing_any_more(world: World) -> None:
    application, about = await enrolled(world)
    await enroll(world, application, about.person, Factor.RECOVERY_CODE)
    sign, here = world.neighbours.receipt, application.application_id
    removed = await remove(world, application, about, sign(here, about.authenticator_id))
    stale = sign(here, about.authenticator_id)

    answer = await start(world, application, about.person, stale)

    assert removed.status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (403, "receipt_refused")


@pytest.mark.requirement("B5")
async def test_what_a_confirmation_gives_is_good_for_ten_minutes(world: World) -> None:
    application = await world.application(factors=BOTH)
    receipts = []
    people = [world.person(application.tenant) for _ in range(2)]
    for person in people:
        begun = await begin(world, application, person, Factor.TOTP)
        receipts.append((await confirm(world, application, begun)).json()["presence"])

    swapped = await start(world, application, people[0], receipts[1])
    in_time = await start(world, application, people[0], receipts[0])
    world.clock.forward(timedelta(minutes=10))
    late = await start(world, application, people[1], receipts[1])

    assert swapped.json()["code"] == "receipt_refused"
    assert in_time.status_code == 201
    assert late.json()["code"] == "receipt_refused"


async def test_a_refusal_for_another_reason_costs_no_receipt(world: World) -> None:
    application, about = await enrolled(world)
    required = await world.application(tenant=application.tenant, scopes=(Scope.VERIFY,))
    receipt = world.neighbours.receipt(application.application_id, about.authenticator_id)

    mandatory = await remove(world, application, about, receipt)
    started = await start(world, application, about.person, receipt)

    assert required.key
    assert (mandatory.status_code, mandatory.json()["code"]) == (409, "mandatory")
    assert started.status_code == 201


async def test_who_may_help_people_needs_no_receipt(world: World) -> None:
    application, about = await enrolled(world)
    desk = await world.application(tenant=application.tenant, scopes=(), role=Role.SERVICE_DESK)

    answer = await remove(world, desk, about, NONE)

    assert answer.status_code == 200, answer.text


async def test_keys_that_are_away_refuse_nobody_for_good(world: World) -> None:
    application, about = await enrolled(world)
    world.neighbours.verification_down = True
    receipt = world.neighbours.receipt(application.application_id, about.authenticator_id)
    known = await start(world, application, about.person, receipt)

    # It signs with a key that nobody here has seen.
    world.neighbours.new_receipt_key()
    receipt = world.neighbours.receipt(application.application_id, about.authenticator_id)
    world.clock.forward(timedelta(seconds=5))
    unknown = await start(world, application, about.person, receipt)
    world.neighbours.verification_down = False
    world.clock.forward(timedelta(seconds=5))
    at_last = await start(world, application, about.person, receipt)

    assert known.status_code == 201, "the copy of the keys is enough"
    assert (unknown.status_code, unknown.json()["code"]) == (503, "verification_unavailable")
    assert at_last.status_code == 201


async def test_receipts_under_invented_keys_do_not_make_us_ask_for_each(world: World) -> None:
    application, about = await enrolled(world)
    before = world.neighbours.keys_asked
    known = world.neighbours.receipt_key
    world.neighbours.new_receipt_key()
    invented = [
        world.neighbours.receipt(application.application_id, about.authenticator_id)
        for _ in range(5)
    ]
    world.neighbours.receipt_key = known
    world.clock.forward(timedelta(seconds=5))

    answers = [await start(world, application, about.person, one) for one in invented]

    assert {answer.json()["code"] for answer in answers} == {"receipt_refused"}
    assert world.neighbours.keys_asked == before + 1


@pytest.mark.security("S1")
async def test_what_was_begun_before_the_person_had_a_factor_is_overtaken(world: World) -> None:
    application = await world.application(factors=BOTH)
    person = world.person(application.tenant)
    # Somebody who knows the password is quicker, and waits.
    theirs = await begin(world, application, person, Factor.TOTP)
    await enroll(world, application, person, Factor.TOTP)

    late = await confirm(world, application, theirs)

    assert (late.status_code, late.json()["code"]) == (403, "present_factor_required")
    assert (await world.event_types(person)).count("enrolled") == 1


@pytest.mark.security("S1")
async def test_what_a_stolen_authenticator_vouched_for_ends_with_it(world: World) -> None:
    application, stolen = await enrolled(world)
    person = stolen.person
    card = await enroll(world, application, person, Factor.RECOVERY_CODE)
    sign, here = world.neighbours.receipt, application.application_id
    by_thief = await begin(
        world, application, person, Factor.TOTP, receipt=sign(here, stolen.authenticator_id)
    )

    removed = await remove(world, application, stolen, sign(here, card.authenticator_id))
    late = await confirm(world, application, by_thief)

    assert removed.status_code == 200
    assert (late.status_code, late.json()["code"]) == (403, "present_factor_required")


async def test_of_what_somebody_begins_five_are_open(world: World) -> None:
    application = await world.application(factors=BOTH)
    person = world.person(application.tenant)
    begun = [await begin(world, application, person, Factor.TOTP) for _ in range(6)]

    statuses = [(await world.ask(application, "GET", one.path)).json()["status"] for one in begun]

    assert statuses == ["cancelled"] + ["pending"] * 5


@pytest.mark.requirement("A1")
async def test_an_authenticator_is_renamed(world: World) -> None:
    application, about = await enrolled(world)
    path = f"/v1/authenticators/{about.authenticator_id}"

    named = await world.ask(application, "PATCH", path, {"name": "Blue phone"})
    shown = await world.ask(application, "GET", path)
    nameless = await world.ask(application, "PATCH", path, {"name": None})
    stranger = await world.application()
    elsewhere = await world.ask(stranger, "PATCH", path, {"name": "Mine now"})

    assert named.json()["name"] == shown.json()["name"] == "Blue phone"
    assert nameless.json()["name"] is None
    assert elsewhere.status_code == 404
    [row] = await world.rows(
        "SELECT sealed_name FROM authenticator WHERE id = $1", about.authenticator_id
    )
    assert row["sealed_name"] is None
