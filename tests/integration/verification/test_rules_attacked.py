"""Attacks on a tenant's rules where decisions are made and codes are judged."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from contracts.envelope import about_person, application_key
from contracts.policy import (
    SUBJECT_STATE,
    ApplicationKey,
    ApplicationState,
    PolicyState,
    SubjectState,
)
from contracts.rules import Match, Rule, RuleRequirement
from contracts.topics import APPLICATIONS, POLICIES
from contracts.vocabulary import Factor, KeyMode, Language, Requirement, Scope
from libs.messaging.copies import copy_of, save_copy
from libs.postgres.pool import tenant_transaction
from libs.web.api_keys import new_api_key
from libs.web.internal_client import Unreachable
from services.verification.domain.outcome import Refused
from services.verification.scripts import CHANGED
from services.verification.use_cases.guesses import Charged, Unpaid
from tests.fixtures.servers import RunningServers
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.factors import ALL, CODES, with_codes, with_fob
from tests.integration.verification.factors import ask as naming
from tests.integration.verification.remembering import ask, decide
from tests.integration.verification.test_clock import strict
from tests.integration.verification.test_rules import asked, becomes, rule

_REQUIRED, _OFF = RuleRequirement.REQUIRED, RuleRequirement.OFF
_STAFF = rule("staff", match=Match(user_types=("staff",)))
_ADMINS_BY_KEY = rule("admins", match=Match(groups=("admins",)), factors=(Factor.PASSKEY,))


async def next_policy(
    world: World, application: Application, *rules: Rule, version: int = 2
) -> None:
    """Let the next version of an application's policy arrive."""
    state = PolicyState(
        application_id=application.application_id,
        version=version,
        deleted=False,
        requirement=Requirement.REQUIRED,
        factors=ALL,
        rules=rules,
        rules_version=version,
        rules_digest="6f" * 32,
    )
    async with tenant_transaction(world.plumbing.app_pool, application.tenant) as tx:
        await save_copy(
            tx,
            tenant=application.tenant,
            topic=POLICIES.name,
            key=application_key(application.tenant, application.application_id),
            state=state.model_dump(mode="json"),
        )


async def another_key(world: World, application: Application) -> str:
    """Let the application have a second key; returns it."""
    key = new_api_key(mode="test", application_id=application.application_id)
    place = application_key(application.tenant, application.application_id)
    async with tenant_transaction(world.plumbing.app_pool, application.tenant) as tx:
        state = ApplicationState.model_validate(await copy_of(tx, APPLICATIONS.name, place))
        of = {"scopes": (Scope.VERIFY,), "mode": KeyMode.TEST, "revoked": False}
        added = ApplicationKey(key_id=uuid4(), digest=key.digest, **of)
        more = state.model_copy(update={"version": 2, "keys": (*state.keys, added)})
        data = more.model_dump(mode="json")
        await save_copy(
            tx, tenant=application.tenant, topic=APPLICATIONS.name, key=place, state=data
        )
    return key.text


async def of_before_attributes(world: World, person: Person) -> None:
    """Leave the row as migrations leave that of somebody who was there before attributes."""
    await world.rows(
        "UPDATE subject SET user_type = DEFAULT, groups = DEFAULT, attributes_known = DEFAULT"
        " WHERE id = $1 RETURNING id",
        person.subject_ref,
    )


async def test_who_was_there_before_the_upgrade_is_asked_as_a_stranger_is(world: World) -> None:
    application = await world.application(requirement=Requirement.OFF, rules=(_STAFF,))
    person = await world.person(application.tenant)
    await becomes(world, person, "staff", version=1)
    await of_before_attributes(world, person)

    somebody = (await asked(world, application, "nobody@example.org")).json()
    answer = (await asked(world, application, person.name)).json()

    assert somebody["decision"] == "enroll"
    assert answer["decision"] == "challenge"


async def test_reading_the_topic_again_teaches_what_the_upgrade_did_not_know(world: World) -> None:
    guests = rule("guests", match=Match(user_types=("guest",)))
    application = await world.application(requirement=Requirement.OFF, rules=(guests,))
    person = await world.person(application.tenant)
    await becomes(world, person, "staff", version=1)
    await of_before_attributes(world, person)
    before = (await asked(world, application, person.name)).json()

    await becomes(world, person, "staff", version=1)

    taught = (await asked(world, application, person.name)).json()
    assert (before["decision"], taught["decision"]) == ("challenge", "allow")


async def changes_unheard(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[], Any]
) -> None:
    """Let a change happen of which Redis is not told."""
    calls = world.cache._calls
    call = calls.call

    async def nothing() -> None:
        return None

    with monkeypatch.context() as silent:

        def lost(script, *rest):  # type: ignore[no-untyped-def]
            return nothing() if script is CHANGED else call(script, *rest)

        silent.setattr(calls, "call", lost)
        await change()


async def test_no_recovery_code_is_judged_by_old_attributes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application(factors=ALL, rules=(_ADMINS_BY_KEY,))
    person = await world.person(application.tenant)
    await with_codes(world, person)
    await becomes(world, person, None, version=1)
    assert (await world.verify(application, person, CODES[0])).status_code == 200

    await changes_unheard(
        world, monkeypatch, lambda: becomes(world, person, None, version=2, groups=["admins"])
    )
    answers = [await world.verify(application, person, code) for code in CODES[1:]]

    assert [answer.status_code for answer in answers] == [403, 403]


async def test_who_may_again_is_not_refused_for_ever_by_an_old_copy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application(rules=(_ADMINS_BY_KEY,))
    person = await world.person(application.tenant)
    await becomes(world, person, None, version=1, groups=["admins"])
    assert (await world.verify(application, person, world.code(person))).status_code == 403

    await changes_unheard(world, monkeypatch, lambda: becomes(world, person, None, version=2))
    answers = []
    for _ in range(5):
        world.clock.forward(timedelta(hours=1))
        answers.append((await world.verify(application, person, world.code(person))).status_code)

    assert 200 in answers


async def test_a_change_that_redis_has_missed_costs_the_person_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application(rules=(_STAFF,))
    person = await world.person(application.tenant)
    await becomes(world, person, "staff", version=1)
    answers = [await world.verify(application, person, world.code(person))]

    # More often than there are guesses.
    for version in range(2, 14):
        change = partial(becomes, world, person, "staff", version=version, groups=[str(version)])
        await changes_unheard(world, monkeypatch, change)
        world.clock.forward(timedelta(seconds=30))
        answers.append(await world.verify(application, person, world.code(person)))

    assert [answer.status_code for answer in answers] == [200] * 13
    assert set(await world.events(person)) == {"mfa.credential_claimed", "mfa.verified"}


async def test_of_many_in_flight_none_is_judged_by_old_attributes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application(rules=(_ADMINS_BY_KEY,))
    person = await world.person(application.tenant)
    phones = [await world.second_authenticator(person) for _ in range(4)]
    await becomes(world, person, None, version=1)
    assert (await world.verify(application, person, world.code(person))).status_code == 200

    await changes_unheard(
        world, monkeypatch, lambda: becomes(world, person, None, version=2, groups=["admins"])
    )
    guesses = world.parts.door.verify.guesses
    reserve, under_way, all_are = guesses.reserve, [], asyncio.Event()

    async def in_flight(guess: Unpaid) -> Charged | Refused:
        charged = await reserve(guess)
        under_way.append(charged)
        if len(under_way) == len(phones):
            all_are.set()
        await all_are.wait()
        return charged

    monkeypatch.setattr(guesses, "reserve", in_flight)
    answers = await asyncio.gather(
        *(
            naming(
                world, application, one, world.code(one), authenticator=str(one.authenticator_id)
            )
            for one in phones
        )
    )

    assert [answer.status_code for answer in answers] == [403] * len(phones)
    assert [type(one) for one in under_way[: len(phones)]] == [Charged] * len(phones)


async def test_a_device_is_not_trusted_on_the_word_of_a_factor_that_does_not_count(
    world: World,
) -> None:
    application = await world.application(factors=ALL)
    person = await world.person(application.tenant)
    await with_fob(world, person)
    await becomes(world, person, "staff", version=1)
    token = (await ask(world, application, person)).json()["device"]["token"]

    await next_policy(
        world,
        application,
        rule("staff", match=Match(user_types=("staff",)), factors=(Factor.HOTP,)),
    )
    by_code = await world.verify(application, person, world.code(person, steps=1))
    by_device = (await decide(world, application, person, token)).json()

    assert by_code.status_code == 403
    assert by_device["rules"]["decided_by"] == "staff"
    assert by_device["decision"] == "challenge"


async def test_a_node_whose_clock_is_off_lets_nobody_off_before_a_rule_starts(
    world: World, servers: RunningServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = world.clock() - timedelta(minutes=5)
    application = await world.application(
        requirement=Requirement.OFF, rules=(rule("all", starts=started),)
    )
    person = await world.person(application.tenant)
    async with strict(world, servers, tmp_path) as node:
        monkeypatch.setattr(type(node.parts.watch), "clock_is_off", True)
        node.clock.offset = timedelta(minutes=-10)
        answer = await node.decide(application, person.name)

    assert (answer.status_code, answer.json().get("decision")) == (503, None)


async def test_explain_does_not_tell_a_plain_key_who_exists(world: World) -> None:
    application = await world.application(
        rules=(rule("staff", _OFF, match=Match(user_types=("staff",))),)
    )
    name, subject = f"{uuid4().hex}@example.org", uuid4()
    world.owners.names[subject] = name
    state = SubjectState(
        subject_ref=subject,
        version=1,
        deleted=False,
        user_type="guest",
        groups=(),
        language=Language.ENGLISH,
    )
    event = about_person(
        SUBJECT_STATE, state, tenant=application.tenant, subject_ref=subject, now=world.clock()
    )
    async with tenant_transaction(world.plumbing.app_pool, application.tenant) as tx:
        await world.parts.events.subject(tx, event)
    await world.claim_all()

    there = (await asked(world, application, name)).json()
    stranger = (await asked(world, application, "nobody@example.org")).json()
    refused = [
        await asked(world, application, one, explain=True) for one in (name, "nobody@example.org")
    ]

    assert there["decision"] == stranger["decision"] == "enroll"
    assert there["rules"] == stranger["rules"]
    assert [one.status_code for one in refused] == [403, 403]
    assert {one.json()["code"] for one in refused} == {"missing_scope"}
    assert {one.json()["detail"] for one in refused} == {"verify:reasons"}


async def test_new_attributes_count_also_while_policy_is_away(world: World) -> None:
    application = await world.application(rules=(_ADMINS_BY_KEY,))
    person = await world.person(application.tenant)
    await becomes(world, person, None, version=1)
    assert (await world.verify(application, person, world.code(person))).status_code == 200

    world.owners.down = True
    with pytest.raises(Unreachable):
        await becomes(world, person, None, version=2, groups=["admins"])
    decided = (await world.decide(application, person.name)).json()
    judged = await world.verify(application, person, world.code(person, steps=1))

    assert decided["rules"]["decided_by"] == "admins"
    assert judged.status_code == 403


async def test_memory_keeps_the_rules_of_an_application_once(world: World) -> None:
    application = await world.application(rules=(_STAFF,))
    directory = world.parts.door.directory

    second = await another_key(world, application)

    one = await directory.known(f"Bearer {application.key}")
    others = [await directory.known(f"{kind} {application.key}") for kind in ("bEARER", "BEARER")]
    others.append(await directory.known(f"Bearer {second}"))

    assert one is not None
    assert [other is not None and other.policy is one.policy for other in others] == [True] * 3
    assert len(directory._kept) == 2, "a header that is spelt otherwise is not another caller"


async def test_memory_takes_the_next_version_of_a_policy(world: World) -> None:
    application = await world.application(rules=(_STAFF,))
    directory, header = world.parts.door.directory, f"Bearer {application.key}"
    before = await directory.known(header)

    await next_policy(world, application, _STAFF)
    directory.forget()
    after = await directory.known(header)

    assert [one is not None and one.policy and one.policy.version for one in (before, after)] == [
        1,
        2,
    ]
