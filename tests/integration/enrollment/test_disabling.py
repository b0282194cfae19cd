"""Switching off the second step: only where nothing requires it, by whom the rules let (E5)."""

import asyncio
from uuid import uuid4

import httpx2
import pytest

from contracts.policy import PolicyState
from contracts.roles import Role
from contracts.rules import Disabler, Match, Rule, RuleRequirement, Strength
from contracts.vocabulary import Factor, Scope
from tests.integration.enrollment.things import Application, Enrolled
from tests.integration.enrollment.world import World

pytestmark = pytest.mark.requirement("E5")

_BOTH = tuple(Disabler)


def rule(
    requirement: RuleRequirement = RuleRequirement.OPTIONAL,
    may_disable: tuple[Disabler, ...] = _BOTH,
    **match: object,
) -> Rule:
    return Rule(
        name="employees",
        match=Match.model_validate(match),
        starts=None,
        requirement=requirement,
        factors=(Factor.TOTP,),
        strength=Strength.ANY,
        may_disable=may_disable,
    )


async def disable(world: World, application: Application, about: Enrolled) -> httpx2.Response:
    body = {"subject": about.person.name}
    return await world.ask(application, "POST", "/v1/authenticators/removal", body)


async def somebody(world: World, application: Application) -> Enrolled:
    return await world.enroll(application, world.person(application.tenant))


async def desk(world: World, application: Application) -> Application:
    """Return the service desk, which has a key of the same tenant."""
    return await world.application(tenant=application.tenant, scopes=(), role=Role.SERVICE_DESK)


_LOGIN = (Scope.ENROLL, Scope.VERIFY)


@pytest.mark.parametrize(
    ("rules", "required", "person", "administrator"),
    [
        ((), True, 409, 409),
        ((), False, 200, 200),
        ((rule(),), True, 200, 200),
        ((rule(may_disable=(Disabler.ADMINISTRATOR,)),), True, 403, 200),
        ((rule(may_disable=(Disabler.PERSON,)),), True, 200, 403),
        ((rule(may_disable=()),), False, 403, 403),
        ((rule(RuleRequirement.REQUIRED),), False, 409, 409),
        ((rule(RuleRequirement.OFF),), True, 200, 200),
        ((rule(RuleRequirement.REQUIRED, user_types=("guest",)), rule()), True, 200, 200),
    ],
)
async def test_the_rules_say_who_may_switch_it_off(
    world: World, rules: tuple[Rule, ...], required: bool, person: int, administrator: int
) -> None:
    application = await world.application(scopes=_LOGIN, rules=rules, required=required)
    helper = await desk(world, application)

    for caller, status in ((application, person), (helper, administrator)):
        about = await somebody(world, application)
        answer = await disable(world, caller, about)
        left = (await world.event_types(about.person))[-1]

        assert answer.status_code == status, answer.text
        assert left == ("disabled" if status == 200 else "enrolled")
        codes = {200: None, 409: "mandatory", 403: "not_allowed_to_disable"}
        assert answer.json().get("code") == codes[status]


@pytest.mark.parametrize(
    ("rules", "person", "administrator"),
    [
        ((), 409, 200),
        ((rule(),), 200, 200),
        ((rule(may_disable=(Disabler.ADMINISTRATOR,)),), 403, 200),
        ((rule(RuleRequirement.OFF, may_disable=()),), 403, 403),
        ((rule(RuleRequirement.REQUIRED, may_disable=()),), 409, 200),
        ((rule(may_disable=(), user_types=("staff",)), rule()), 403, 403),
        ((rule(), rule(may_disable=())), 200, 200),
        ((rule(may_disable=(), subjects=(uuid4(),)),), 409, 200),
    ],
)
async def test_the_last_authenticator_stays_like_all_of_them(
    world: World, rules: tuple[Rule, ...], person: int, administrator: int
) -> None:
    login = await world.application(scopes=_LOGIN, rules=rules)
    helper = await world.application(tenant=login.tenant, scopes=(Scope.ENROLL, Scope.MANAGE))

    for caller, status in ((login, person), (helper, administrator)):
        about = await somebody(world, login)
        second = await world.enroll(login, about.person)
        paths = [f"/v1/authenticators/{one.authenticator_id}" for one in (about, second)]
        answers = await asyncio.gather(*(world.ask(caller, "DELETE", path) for path in paths))

        assert sorted(answer.status_code for answer in answers) == [200, status]
        codes = {answer.json().get("code") for answer in answers} - {None}
        refused = {200: set(), 403: {"not_allowed_to_disable"}, 409: {"mandatory"}}
        assert codes == refused[status]


async def test_one_application_that_requires_it_keeps_it_on(world: World) -> None:
    mail = await world.application(scopes=_LOGIN, required=False)
    about = await somebody(world, mail)
    await world.application(tenant=mail.tenant, scopes=(Scope.MANAGE,))
    assert (await disable(world, mail, about)).status_code == 200, "nobody logs in there"
    again = await world.enroll(mail, about.person)
    await world.application(tenant=mail.tenant, scopes=(Scope.VERIFY,))

    answer = await disable(world, mail, again)

    assert (answer.status_code, answer.json()["code"]) == (409, "mandatory")


async def test_everything_is_removed_and_said_with_who_did_it(world: World) -> None:
    application = await world.application(scopes=_LOGIN, required=False)
    helper = await desk(world, application)
    about = await somebody(world, application)
    second = await world.enroll(application, about.person)
    await world.start(application, about.person)

    answer = await disable(world, helper, about)

    assert (answer.status_code, answer.json()) == (200, {"status": "effective"})
    kind, data = (await world.events(about.person))[-1]
    assert (kind, data["by"], data["application_id"]) == (
        *("mfa.disabled", "administrator"),
        str(helper.application_id),
    )
    ids = {about.authenticator_id, second.authenticator_id}
    told = {str(one.authenticator_id) for one in world.neighbours.revoked[-1].authenticators}
    assert told == ids
    assert data["authenticators"] == sorted(ids)


async def test_again_nothing_more_is_removed_or_said(world: World) -> None:
    application = await world.application(scopes=_LOGIN, required=False)
    about = await somebody(world, application)
    answers = await asyncio.gather(*(disable(world, application, about) for _ in range(4)))

    again = await disable(world, application, about)

    assert {answer.status_code for answer in (*answers, again)} == {200}
    assert (await world.event_types(about.person)).count("disabled") == 1


async def test_without_a_policy_nobody_can_say(world: World) -> None:
    application = await world.application(scopes=_LOGIN, required=False)
    about = await somebody(world, application)
    await world.application(tenant=application.tenant, scopes=(Scope.VERIFY,), factors=None)

    assert (await disable(world, application, about)).status_code == 503


async def test_many_applications_with_many_rules_keep_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = tuple(f"{n:02x}" for n in range(46))
    many = tuple(rule(groups=groups) for _ in range(190))
    application = await world.application(scopes=_LOGIN, rules=many, required=False)
    for _ in range(60):
        await world.application(
            tenant=application.tenant, scopes=_LOGIN, rules=many, required=False
        )
    about = await somebody(world, application)

    turn, read_in, read = 0, list[int](), PolicyState.model_validate

    def noted(state: object) -> PolicyState:
        read_in.append(turn)
        return read(state)

    monkeypatch.setattr(PolicyState, "model_validate", noted)
    disabling = asyncio.create_task(disable(world, application, about))
    while not disabling.done():
        await asyncio.sleep(0)
        turn += 1

    assert (await disabling).status_code == 200
    assert len(read_in) == 61
    assert len(set(read_in)) == 61, "others have their turn between any two"


async def test_strangers_and_other_tenants_people_are_unknown(world: World) -> None:
    application = await world.application(scopes=_LOGIN, required=False)
    other = await world.application(tenant=uuid4(), scopes=_LOGIN, required=False)
    about = await somebody(world, application)

    answer = await disable(world, other, about)

    assert (answer.status_code, answer.json()["code"]) == (404, "subject_unknown")
    assert (await world.event_types(about.person))[-1] == "enrolled"


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.APPLICATION])
async def test_whoever_may_neither_enroll_nor_help_is_refused(world: World, role: Role) -> None:
    application = await world.application(scopes=_LOGIN, required=False)
    about = await somebody(world, application)
    caller = await world.application(tenant=application.tenant, scopes=(), role=role)

    assert (await disable(world, caller, about)).status_code == 403
