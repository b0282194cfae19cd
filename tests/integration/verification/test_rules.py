"""What the tenant's rules ask of whom: in decisions, and of codes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import httpx2
import msgspec
import pytest

from contracts.envelope import about_person
from contracts.policy import SUBJECT_STATE, SubjectState
from contracts.rules import Match, Rule, RuleRequirement, Strength
from contracts.vocabulary import Factor, Language, Requirement, Scope
from libs.postgres.pool import tenant_transaction
from services.verification.reserve import Copy
from services.verification.scripts import CHANGED
from tests.integration.verification.conftest import Application, Person, World, reason_of
from tests.integration.verification.factors import REASONS

_OFF, _OPTIONAL, _REQUIRED = RuleRequirement
_ANNA_IS = "student"
_TOTP = (Factor.TOTP,)


def rule(
    name: str,
    requirement: RuleRequirement = _REQUIRED,
    *,
    match: Match | None = None,
    starts: datetime | None = None,
    factors: tuple[Factor, ...] = _TOTP,
    days: int | None = None,
) -> Rule:
    return Rule(
        name=name,
        match=match or Match(),
        starts=starts,
        requirement=requirement,
        factors=factors,
        strength=Strength.ANY,
        remember_days=days,
    )


async def becomes(
    world: World, person: Person, user_type: str | None, *, version: int, groups: Sequence[str] = ()
) -> None:
    """Let policy's event arrive, and what follows from it."""
    state = SubjectState(
        subject_ref=person.subject_ref,
        version=version,
        deleted=False,
        user_type=user_type,
        groups=tuple(groups),
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
        await world.parts.events.subject(tx, event)
    await world.claim_all()


async def asked(
    world: World, application: Application, name: str, **more: object
) -> httpx2.Response:
    body = {"subject": name, **more}
    headers = {"Authorization": f"Bearer {application.key}"}
    return await world.public.post("/v1/decisions", json=body, headers=headers)


_STUDENTS = rule("students", match=Match(user_types=("student",)))
_STAFF_OFF = rule("staff", _OFF, match=Match(user_types=("staff",)))
_KEY_ONLY = rule("admins", match=Match(groups=("admins",)), factors=(Factor.PASSKEY,))


@pytest.mark.requirement("B1")
@pytest.mark.parametrize(
    ("user_type", "decision", "by", "passed_over"),
    [
        ("student", "challenge", "students", []),
        ("staff", "allow", "staff", [("students", "user_type")]),
        ("guest", "allow", None, [("students", "user_type"), ("staff", "user_type")]),
        (None, "allow", None, [("students", "user_type"), ("staff", "user_type")]),
    ],
)
async def test_decides_by_what_somebody_is_and_says_why(
    world: World,
    user_type: str | None,
    decision: str,
    by: str | None,
    passed_over: list[tuple[str, str]],
) -> None:
    application = await world.application(
        requirement=Requirement.OFF, rules=(_STUDENTS, _STAFF_OFF), scopes=REASONS
    )
    person = await world.person(application.tenant)
    await becomes(world, person, user_type, version=1)

    answer = (await asked(world, application, person.name, explain=True)).json()

    assert answer["decision"] == decision
    assert answer["rules"] == {
        "version": 1,
        "digest": "5e" * 32,
        **({"decided_by": by} if by else {}),
        "passed_over": [{"rule": name, "because": why} for name, why in passed_over],
    }


@pytest.mark.requirement("B1")
async def test_a_rule_starts_at_its_moment(world: World) -> None:
    starts = world.clock() + timedelta(minutes=1)
    application = await world.application(
        requirement=Requirement.OFF, rules=(rule("all", starts=starts),)
    )
    person = await world.person(application.tenant)
    before = await world.decide(application, person.name)
    world.clock.forward(timedelta(seconds=55))
    just_before = await world.decide(application, person.name)

    world.clock.forward(timedelta(seconds=5))

    after = await world.decide(application, person.name)
    decisions = [one.json()["decision"] for one in (before, just_before, after)]
    assert decisions == ["allow", "allow", "challenge"]


@pytest.mark.requirement("A3")
async def test_a_rule_for_one_application_leaves_the_others_alone(world: World) -> None:
    tenant = uuid4()
    plain = await world.application(tenant=tenant, requirement=Requirement.OFF)
    other = Match(applications=(plain.application_id,))
    guarded = await world.application(
        tenant=tenant, requirement=Requirement.OFF, rules=(rule("plain", match=other), rule("all"))
    )
    person = await world.person(tenant)

    assert (await world.decide(plain, person.name)).json()["decision"] == "allow"
    assert (await world.decide(guarded, person.name)).json()["rules"]["decided_by"] == "all"


@pytest.mark.requirement("E1")
async def test_who_may_choose_is_asked_once_they_have_chosen(world: World) -> None:
    application = await world.application(rules=(rule("own choice", _OPTIONAL),))
    person, stranger = await world.person(application.tenant), "nobody@example.org"

    chosen = (await world.decide(application, person.name)).json()
    not_yet = (await world.decide(application, stranger)).json()

    assert (chosen["decision"], chosen["reason"]) == ("challenge", "optional")
    assert (not_yet["decision"], not_yet["factors"]) == ("allow", ["totp"])


async def test_a_stranger_is_asked_for_the_most_that_anybody_is(world: World) -> None:
    application = await world.application(
        requirement=Requirement.OFF, rules=(_STAFF_OFF, _STUDENTS), scopes=REASONS
    )

    answer = (await asked(world, application, "nobody@example.org", explain=True)).json()

    assert answer["decision"] == "enroll"
    assert answer["rules"]["passed_over"] == [{"rule": "staff", "because": "unknown_person"}]


@pytest.mark.requirement("B1")
async def test_explains_that_a_rule_decides_only_until_the_attributes_arrive(world: World) -> None:
    application = await world.application(
        requirement=Requirement.OFF, rules=(_STUDENTS, rule("all")), scopes=REASONS
    )
    person = await world.person(application.tenant)
    early = (await asked(world, application, person.name, explain=True)).json()["rules"]
    unexplained = (await asked(world, application, person.name)).json()["rules"]

    await becomes(world, person, "student", version=1)
    known = (await asked(world, application, person.name, explain=True)).json()["rules"]
    await becomes(world, person, "staff", version=2)
    other = (await asked(world, application, person.name, explain=True)).json()["rules"]

    assert (early["decided_by"], early["in_doubt"]) == ("students", "unknown_person")
    assert (known["decided_by"], "in_doubt" in known) == ("students", False)
    assert (other["decided_by"], "in_doubt" in other) == ("all", False)
    assert "in_doubt" not in unexplained


async def test_a_code_counts_only_where_the_rule_takes_its_factor(world: World) -> None:
    application = await world.application(
        rules=(_KEY_ONLY,), scopes=(Scope.VERIFY, Scope.VERIFY_REASONS)
    )
    person = await world.person(application.tenant)
    await becomes(world, person, None, version=1)
    assert (await world.verify(application, person, world.code(person))).status_code == 200

    await becomes(world, person, None, version=2, groups=["admins"])

    refused = await world.verify(application, person, world.code(person, steps=1))
    assert (refused.status_code, reason_of(refused)) == (403, "nothing_enrolled")
    await becomes(world, person, None, version=3)
    again = await world.verify(application, person, world.code(person, steps=1))
    assert again.status_code == 200, "nothing was spent by the refusal"


async def test_the_events_say_which_rules_were_in_force(world: World) -> None:
    application = await world.application(rules=(rule("all"),))
    person = await world.person(application.tenant)
    for code in (world.wrong_code(person), world.code(person)):
        await world.verify(application, person, code)

    rows = await world.rows(
        "SELECT convert_from(payload, 'UTF8')::jsonb->'data'->>'rules_digest' AS digest FROM outbox"
        " WHERE type LIKE 'mfa.verif%' AND aggregateid = $1",
        f"{person.tenant}/{person.subject_ref}",
    )
    assert [row["digest"] for row in rows] == ["5e" * 32] * 2


async def test_without_redis_the_rules_are_the_same(world: World) -> None:
    application = await world.application(rules=(_KEY_ONLY,))
    person = await world.person(application.tenant)
    await becomes(world, person, None, version=1, groups=["admins"])
    world.parts.door.verify.guesses._cache._is_safe = False

    assert (await world.verify(application, person, world.code(person))).status_code == 403


async def test_a_rule_that_starts_ends_what_was_good_before(world: World) -> None:
    starts = world.clock() + timedelta(seconds=30)
    application = await world.application(
        rules=(rule("keys", starts=starts, factors=(Factor.PASSKEY,)),)
    )
    person = await world.person(application.tenant)
    assert (await world.verify(application, person, world.code(person))).status_code == 200

    world.clock.forward(timedelta(seconds=30))

    assert (await world.verify(application, person, world.code(person))).status_code == 403


async def test_a_change_that_redis_has_missed_counts_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application(rules=(_KEY_ONLY,))
    person = await world.person(application.tenant)
    await becomes(world, person, None, version=1)
    assert (await world.verify(application, person, world.code(person))).status_code == 200
    calls = world.cache._calls
    call = calls.call
    with monkeypatch.context() as silent:

        def lost(script, *rest):  # type: ignore[no-untyped-def]
            return _nothing() if script is CHANGED else call(script, *rest)

        silent.setattr(calls, "call", lost)
        await becomes(world, person, None, version=2, groups=["admins"])

    refused = await world.verify(application, person, world.code(person, steps=1))

    assert refused.status_code == 403
    await becomes(world, person, None, version=3)
    again = await world.verify(application, person, world.code(person, steps=1))
    assert again.status_code == 200, "nothing was spent by the refusal"


async def test_a_copy_of_another_release_is_read_again(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    assert (await world.verify(application, person, world.code(person))).status_code == 200
    place = f"w:{{{person.tenant}/{person.subject_ref}}}"
    await world.redis.hset(place, "c", msgspec.msgpack.encode([["of", "another", "kind"]]))

    again = await world.verify(application, person, world.code(person, steps=1))

    assert again.status_code == 200
    [kept] = await world.redis.hmget(place, ["c"])
    assert isinstance(kept, bytes)
    assert msgspec.msgpack.decode(kept, type=Copy).version > 0


async def _nothing() -> None:
    return None


@pytest.mark.requirement("D5")
@pytest.mark.parametrize(("days", "kept"), [(30, [0, 8, 29]), (None, [0]), (2, [0]), (0, [])])
async def test_a_rule_says_for_how_many_days_a_device_is_remembered(
    world: World, days: int | None, kept: list[int]
) -> None:
    application = await world.application(rules=(rule("all", days=days),))
    person = await world.person(application.tenant)
    body = {"subject": person.name, "code": world.code(person), "device": {"remember": True}}
    headers = {"Authorization": f"Bearer {application.key}"}
    answer = (await world.public.post("/v1/verify", json=body, headers=headers)).json()
    token, known, passed = answer.get("device", {}).get("token"), [], 0

    for day in (0, 8, 29, 31):
        world.clock.forward(timedelta(days=day - passed))
        passed, asking = day, {"subject": person.name, "device": token}
        decided = (await world.public.post("/v1/decisions", json=asking, headers=headers)).json()
        if decided["remembered"]:
            known.append(day)
            token = decided["device"]["token"]

    assert known == kept


@pytest.mark.requirement("D5")
async def test_a_shorter_time_holds_for_devices_that_are_remembered(world: World) -> None:
    admins = rule("admins", match=Match(groups=("admins",)), days=0)
    application = await world.application(rules=(admins,))
    person = await world.person(application.tenant)
    await becomes(world, person, None, version=1)
    body = {"subject": person.name, "code": world.code(person), "device": {"remember": True}}
    headers = {"Authorization": f"Bearer {application.key}"}
    token = (await world.public.post("/v1/verify", json=body, headers=headers)).json()["device"]

    await becomes(world, person, None, version=2, groups=["admins"])

    asking = {"subject": person.name, "device": token["token"]}
    decided = await world.public.post("/v1/decisions", json=asking, headers=headers)
    assert decided.json()["remembered"] is False
