"""Enrolling may be put off as often as a rule says, and not once more."""

import asyncio
import json
from uuid import uuid4

import pytest

from contracts.rules import Match, Rule
from contracts.vocabulary import Scope
from tests.integration.verification.conftest import Application, World
from tests.integration.verification.factors import REASONS
from tests.integration.verification.skipping import (
    STRANGER,
    arrives,
    left,
    nudging,
    skip,
)
from tests.integration.verification.test_rules import becomes, rule
from tests.integration.verification.test_rules_attacked import next_policy


@pytest.mark.requirement("B2")
@pytest.mark.parametrize("is_known", [True, False])
async def test_enrolling_is_put_off_as_often_as_the_rule_says(world: World, is_known: bool) -> None:
    application = await world.application(rules=(nudging(2),))
    name = (await arrives(world, application.tenant)).name if is_known else STRANGER

    at_first = await left(world, application, name)
    answers = [await skip(world, application, name) for _ in range(3)]

    assert at_first == 2
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert [answer.json().get("skips_left") for answer in answers] == [1, 0, None]
    assert answers[2].json()["code"] == "nothing_to_skip"
    assert answers[0].headers["cache-control"] == "no-store"
    assert await left(world, application, name) == 0


@pytest.mark.security("S5")
@pytest.mark.usefixtures("untraced")
async def test_strangers_and_known_people_hear_the_same(world: World) -> None:
    application = await world.application(rules=(nudging(1),))
    known = await arrives(world, application.tenant)

    answers = [
        [await skip(world, application, name) for _ in range(2)] for name in (known.name, STRANGER)
    ]

    looks = [
        [(one.status_code, one.json() | {"trace_id": ""}, one.headers) for one in of]
        for of in answers
    ]
    assert looks[0] == looks[1]


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param((), id="the application's own terms"),
        pytest.param((nudging(0),), id="a rule that gives none"),
        pytest.param((nudging(3).model_copy(update={"denied": True}),), id="a rule that denies"),
    ],
)
async def test_what_cannot_be_put_off_is_not(world: World, rules: tuple[Rule, ...]) -> None:
    application = await world.application(rules=rules)

    answer = await skip(world, application, STRANGER)

    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_skip")
    assert await world.rows("SELECT 1 FROM skip") == []


async def test_who_is_enrolled_puts_nothing_off(world: World) -> None:
    application = await world.application(rules=(nudging(3),))
    person = await world.person(application.tenant)

    answer = await skip(world, application, person.name)

    assert answer.status_code == 409
    assert "skips_left" not in (await world.decide(application, person.name)).json()


@pytest.mark.requirement("B2")
async def test_nothing_that_a_person_can_do_gives_more(world: World) -> None:
    application = await world.application(rules=(nudging(1),))
    person = await world.person(application.tenant)
    await becomes(world, person, None, version=1)
    await world.rows("UPDATE authenticator SET status = 'removed' RETURNING 1")
    assert (await skip(world, application, person.name)).status_code == 200

    enrolled_again = await world.second_authenticator(person)
    await world.rows("UPDATE authenticator SET status = 'removed' RETURNING 1")
    elsewhere = await world.application(tenant=application.tenant, rules=(nudging(1),))
    await next_policy(world, application, rule("before", match=Match(groups=("x",))), nudging(1))

    for one in (application, elsewhere):
        assert (await skip(world, one, enrolled_again.name)).status_code == 409
        assert await left(world, one, person.name) == 0


@pytest.mark.requirement("B2")
async def test_an_administrator_gives_more_and_takes_away(world: World) -> None:
    application = await world.application(rules=(nudging(2),))
    assert (await skip(world, application, STRANGER)).json() == {"skips_left": 1}

    await next_policy(world, application, nudging(4))
    raised = await left(world, application, STRANGER)
    fewer = await world.application(tenant=application.tenant, rules=(nudging(1),))
    other = await world.application(tenant=application.tenant, rules=(nudging(2, name="other"),))

    assert raised == 3
    assert await left(world, fewer, STRANGER) == 0
    assert (await skip(world, fewer, STRANGER)).status_code == 409
    assert await left(world, other, STRANGER) == 2


@pytest.mark.parametrize("is_known", [True, False])
async def test_of_racing_requests_no_more_get_through_than_there_are(
    world: World, is_known: bool
) -> None:
    tenant = uuid4()
    applications = [await world.application(tenant=tenant, rules=(nudging(3),)) for _ in range(2)]
    name = (await arrives(world, tenant)).name if is_known else STRANGER

    answers = await asyncio.gather(*(skip(world, applications[n % 2], name) for n in range(12)))

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * 3 + [409] * 9
    assert sorted(one.json()["skips_left"] for one in answers if one.status_code == 200) == [
        0,
        1,
        2,
    ]
    assert await left(world, applications[0], name) == 0


async def test_it_is_announced_with_ids_and_the_rule_only(world: World) -> None:
    application = await world.application(rules=(nudging(2),))
    person = await arrives(world, application.tenant)

    await skip(world, application, person.name)
    await skip(world, application, STRANGER)

    rows = await world.rows(
        "SELECT aggregateid, payload FROM outbox WHERE type = 'mfa.enrollment_skipped'"
    )
    assert [row["aggregateid"] for row in rows] == [f"{person.tenant}/{person.subject_ref}"]
    data = json.loads(bytes(rows[0]["payload"]))["data"]  # type: ignore[call-overload]
    assert data == {
        "application_id": str(application.application_id),
        "rule": "nudge",
        "rules_version": 1,
        "rules_digest": "5e" * 32,
        "skips_left": 1,
    }


async def test_a_tenant_counts_its_own_people_only(world: World) -> None:
    one, other = [await world.application(rules=(nudging(1),)) for _ in range(2)]
    assert (await skip(world, one, STRANGER)).status_code == 200

    assert await left(world, other, STRANGER) == 1


@pytest.mark.parametrize(
    ("scopes", "status"),
    [((Scope.VERIFY,), 200), ((Scope.MANAGE,), 403), ((Scope.ENROLL,), 403), (REASONS, 200)],
)
async def test_it_takes_the_scope_verify(
    world: World, scopes: tuple[Scope, ...], status: int
) -> None:
    application = await world.application(rules=(nudging(1),), scopes=scopes)

    assert (await skip(world, application, STRANGER)).status_code == status


async def test_a_key_that_nobody_knows_is_refused(world: World) -> None:
    nobody = Application(uuid4(), uuid4(), "ww_test_nobody")

    assert (await skip(world, nobody, STRANGER)).status_code == 401


@pytest.mark.parametrize(
    "body", [{}, {"subject": ""}, {"subject": "a", "more": 1}, {"subject": " a"}]
)
async def test_a_body_that_is_not_understood_is_refused(
    world: World, body: dict[str, object]
) -> None:
    application = await world.application(rules=(nudging(1),))
    headers = {"Authorization": f"Bearer {application.key}"}

    answer = await world.public.post("/v1/skips", json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")
