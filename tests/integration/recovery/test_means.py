"""Which ways back in the tenant's rules allow."""

from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.rules import Match, RecoveryMeans, Rule, RuleRequirement, Strength
from contracts.vocabulary import Factor, Scope
from tests.integration.recovery.conftest import World

_KEY, _DESK = (RecoveryMeans.RECOVERY_KEY,), (RecoveryMeans.SERVICE_DESK,)


def rule(recovery: tuple[RecoveryMeans, ...] | None, *groups: str) -> Rule:
    return Rule(
        name="admins",
        match=Match(groups=groups),
        starts=None,
        requirement=RuleRequirement.REQUIRED,
        factors=(Factor.TOTP,),
        strength=Strength.ANY,
        recovery=recovery,
    )


async def _recovered(world: World, tenant: UUID, rules: tuple[Rule, ...] | None) -> int:
    key = await world.application(tenant, rules=rules)
    name, subject = world.person()
    world.owners.groups[subject] = ("admins",)
    issued = await world.new_key(key, tenant, subject)
    body = {"subject": name, "recovery_key": issued["recovery_key"]}
    return (await world.post(key, "/v1/recoveries", body)).status_code


def _said(answer: httpx2.Response) -> dict[str, object]:
    return {name: value for name, value in answer.json().items() if name != "trace_id"}


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ((), 200),
        ((rule(None),), 200),
        ((rule(_KEY),), 200),
        ((rule(_DESK),), 403),
        ((rule(()),), 403),
        ((rule(_DESK, "admins"),), 403),
        ((rule(_DESK, "staff"),), 200),
        ((rule(_DESK, "staff"), rule(_KEY, "admins"), rule(_DESK)), 200),
    ],
)
async def test_the_rule_about_a_person_says_whether_a_recovery_key_is_good(
    world: World, rules: tuple[Rule, ...], status: int
) -> None:
    assert await _recovered(world, uuid4(), rules) == status


async def test_a_key_that_the_rules_refuse_is_not_spent_and_sounds_like_a_wrong_one(
    world: World,
) -> None:
    tenant = uuid4()
    strict = await world.application(tenant, rules=(rule(_DESK, "admins"),))
    lenient = await world.application(tenant)
    name, subject = world.person()
    world.owners.groups[subject] = ("admins",)
    typed = (await world.new_key(lenient, tenant, subject))["recovery_key"]
    right = {"subject": name, "recovery_key": typed}

    refused = await world.post(strict, "/v1/recoveries", right)
    stranger = await world.post(strict, "/v1/recoveries", right | {"subject": "nobody"})

    assert (refused.status_code, _said(refused)) == (403, _said(stranger))
    assert await world.events(tenant, subject) == [
        *("mfa.recovery_key_issued", "mfa.recovery_key_acknowledged", "mfa.recovery_refused")
    ]
    assert (await world.post(lenient, "/v1/recoveries", right)).status_code == 200


async def test_another_application_is_no_way_around_the_rules_of_one(world: World) -> None:
    tenant = uuid4()
    await world.application(tenant, (Scope.VERIFY,), rules=(rule(_DESK, "admins"),))
    lenient = await world.application(tenant)
    (name, subject), (other, free) = world.person(), world.person()
    world.owners.groups[subject] = ("admins",)
    keys = {who: await world.new_key(lenient, tenant, who) for who in (subject, free)}

    answers = [
        await world.post(
            lenient,
            "/v1/recoveries",
            {"subject": who, "recovery_key": keys[about]["recovery_key"]},
        )
        for who, about in ((name, subject), (other, free))
    ]

    assert [answer.status_code for answer in answers] == [403, 200]


async def test_where_the_policy_of_another_application_is_missing_a_right_key_is_not_spent(
    world: World,
) -> None:
    tenant = uuid4()
    await world.application(tenant, (Scope.VERIFY,), rules=None)
    lenient = await world.application(tenant)
    name, subject = world.person()
    issued = await world.new_key(lenient, tenant, subject)
    typed = {"recovery_key": issued["recovery_key"]}

    answers = [
        await world.post(lenient, "/v1/recoveries", {"subject": one} | typed)
        for one in (name, "nobody@example.org")
    ]

    assert [answer.status_code for answer in answers] == [503, 403]
    assert "mfa.recovery_used" not in await world.events(tenant, subject)


async def test_without_the_policy_nobody_can_say_and_strangers_hear_the_same(
    world: World,
) -> None:
    tenant = uuid4()
    key = await world.application(tenant, rules=None)
    name, subject = world.person()
    issued = await world.new_key(key, tenant, subject)

    answers = [
        await world.post(
            key, "/v1/recoveries", {"subject": one, "recovery_key": issued["recovery_key"]}
        )
        for one in (name, "nobody@example.org")
    ]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert _said(answers[0]) == _said(answers[1])
