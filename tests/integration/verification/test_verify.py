import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import httpx2
import pytest

from contracts.vocabulary import Factor, Requirement, Scope
from tests.integration.verification.conftest import World, reason_of


def shape(answer: httpx2.Response) -> tuple[object, ...]:
    """Return all of an answer but the id of the request's own trace."""
    body = {name: value for name, value in answer.json().items() if name != "trace_id"}
    return answer.status_code, body, len(answer.content), sorted(answer.headers.items())


REASONS = (Scope.VERIFY, Scope.VERIFY_REASONS)


async def test_accepts_the_code_that_the_phone_shows(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await world.verify(application, person, world.code(person))

    assert answer.status_code == 200
    assert answer.json()["authenticator"] == str(person.authenticator_id)
    assert answer.json()["amr"] == ["otp"]
    assert answer.headers["cache-control"] == "no-store"
    assert await world.events(person) == ["mfa.credential_claimed", "mfa.verified"]


@pytest.mark.security("S1")
@pytest.mark.standard("NIST 800-63B-4 3.1.4.2")
async def test_accepts_a_code_once(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    code = world.code(person)
    await world.verify(application, person, code)

    answer = await world.verify(application, person, code)

    assert (answer.status_code, reason_of(answer)) == (403, "replayed")
    assert (await world.events(person))[-1] == "mfa.verification_failed"


@pytest.mark.security("S1")
async def test_a_later_code_spends_the_earlier_ones(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    earlier, later = world.code(person), world.code(person, steps=1)

    assert (await world.verify(application, person, later)).status_code == 200
    assert (await world.verify(application, person, earlier)).status_code == 403


async def test_the_code_that_confirmed_the_enrollment_does_not_log_in(world: World) -> None:
    application = await world.application(scopes=REASONS)
    step = int(world.clock().timestamp()) // 30
    person = await world.person(application.tenant, last_step=step)

    answer = await world.verify(application, person, world.code(person))

    assert (answer.status_code, reason_of(answer)) == (403, "replayed")


@pytest.mark.fault("R1")
@pytest.mark.security("S1")
async def test_of_many_at_once_with_one_code_one_is_accepted(world: World) -> None:
    application = await world.application()
    for _ in range(5):
        person = await world.person(application.tenant)
        code = world.code(person)

        answers = await asyncio.gather(*(world.verify(application, person, code) for _ in range(9)))

        assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 8}
        assert (await world.events(person)).count("mfa.verified") == 1


@pytest.mark.security("S2")
async def test_guesses_over_the_budget_are_never_evaluated(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    wrong = world.wrong_code(person)

    answers = await asyncio.gather(*(world.verify(application, person, wrong) for _ in range(60)))

    reasons = Counter(reason_of(answer) for answer in answers)
    assert reasons == {"wrong_code": 10, "budget": 50}
    failed = (await world.events(person)).count("mfa.verification_failed")
    assert failed == reasons["wrong_code"]
    assert (await world.verify(application, person, world.code(person))).status_code == 403


@pytest.mark.security("S2")
async def test_several_authenticators_do_not_make_guessing_easier(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    await world.second_authenticator(person)

    wrong = world.wrong_code(person)
    answers = [await world.verify(application, person, wrong) for _ in range(8)]

    reasons = Counter(reason_of(answer) for answer in answers)
    assert reasons == {"wrong_code": 5, "budget": 3}
    rows = await world.rows("SELECT spent FROM subject WHERE id = $1", person.subject_ref)
    assert 9.9 < float(str(rows[0]["spent"])) <= 10.0


async def test_one_of_several_authenticators_is_enough(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    second = await world.second_authenticator(person)

    answer = await world.verify(application, person, world.code(second))

    assert answer.json()["authenticator"] == str(second.authenticator_id)


@pytest.mark.security("S2")
@pytest.mark.fault("R4")
async def test_the_budget_survives_a_loss_of_redis(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    wrong = world.wrong_code(person)

    evaluated = 0
    for _ in range(25):
        answer = await world.verify(application, person, wrong)
        evaluated += reason_of(answer) == "wrong_code"
        await world.redis.delete(f"w:{{{person.tenant}/{person.subject_ref}}}")

    assert evaluated == 10


@pytest.mark.security("S15")
async def test_refusals_without_evaluation_are_announced_as_a_sum(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    for _ in range(14):
        await world.verify(application, person, world.wrong_code(person))

    for _ in range(2):
        await world.parts.refusals.announce()

    rows = await world.rows(
        "SELECT convert_from(payload, 'UTF8')::jsonb->'data'->>'count' AS count FROM outbox"
        " WHERE type = 'mfa.verification_refused'"
    )
    assert [row["count"] for row in rows] == ["4"]


async def test_the_budget_comes_back_with_time(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    for _ in range(10):
        await world.verify(application, person, world.wrong_code(person))
    refused = await world.verify(application, person, world.code(person))

    wait = int(refused.headers["retry-after"])
    world.clock.forward(timedelta(seconds=wait + 1))

    assert reason_of(refused) == "budget"
    assert 3600 < wait <= 4321
    assert (await world.verify(application, person, world.code(person))).status_code == 200


@pytest.mark.standard("NIST 800-63B-4 3.2.2")
async def test_too_many_failures_in_a_row_lock_until_a_new_binding(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    for _ in range(50):
        await world.verify(application, person, world.wrong_code(person))
        world.clock.forward(timedelta(hours=2))

    answer = await world.verify(application, person, world.code(person))

    assert reason_of(answer) == "locked"
    assert (await world.events(person)).count("mfa.locked") == 1
    await world.redis.delete(f"w:{{{person.tenant}/{person.subject_ref}}}")
    assert reason_of(await world.verify(application, person, world.code(person))) == "locked"


async def test_a_success_ends_the_run_of_failures(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    for _ in range(3):
        await world.verify(application, person, world.wrong_code(person))

    await world.verify(application, person, world.code(person))

    rows = await world.rows(
        "SELECT consecutive, spent FROM subject WHERE id = $1", person.subject_ref
    )
    assert rows[0]["consecutive"] == 0
    assert 2.9 < float(str(rows[0]["spent"])) <= 3.0


@pytest.mark.fault("R10")
async def test_a_repeat_with_the_same_idempotency_key_gets_the_first_answer(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex

    answers = [await world.verify(application, person, code, idempotency_key=key) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.json()["event_id"] for answer in answers}) == 1
    assert (await world.events(person)).count("mfa.verified") == 1


@pytest.mark.fault("R10")
async def test_parallel_repeats_all_get_the_first_answer(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex

    answers = await asyncio.gather(
        *(world.verify(application, person, code, idempotency_key=key) for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["event_id"] for answer in answers}) == 1


async def test_an_idempotency_key_belongs_to_one_request(world: World) -> None:
    application = await world.application()
    person, other = await world.person(application.tenant), await world.person(application.tenant)
    key = uuid4().hex
    await world.verify(application, person, world.code(person), idempotency_key=key)
    replayed = world.code(other)
    await world.verify(application, other, replayed)

    answer = await world.verify(application, other, replayed, idempotency_key=key)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_an_answer_is_repeated_for_fifteen_minutes(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    await world.verify(application, person, code, idempotency_key=key)

    world.clock.forward(timedelta(minutes=16))

    assert (await world.verify(application, person, code, idempotency_key=key)).status_code == 403


@pytest.mark.security("S5")
async def test_strangers_cannot_tell_refusals_apart(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    used = world.code(person)
    await world.verify(application, person, used)

    wrong = await world.verify(application, person, world.wrong_code(person))
    replayed = await world.verify(application, person, used)
    headers = {"Authorization": f"Bearer {application.key}"}
    unknown = await world.public.post(
        "/v1/verify", json={"subject": "nobody@example.org", "code": "123456"}, headers=headers
    )

    assert shape(wrong) == shape(replayed) == shape(unknown)


@pytest.mark.security("S6")
async def test_another_tenant_knows_nobody_of_ours(world: World) -> None:
    ours, theirs = await world.application(), await world.application(scopes=REASONS)
    person = await world.person(ours.tenant)

    answer = await world.verify(theirs, person, world.code(person))
    decision = await world.decide(theirs, person.name)

    assert reason_of(answer) == "nothing_enrolled"
    assert decision.json()["decision"] == "enroll"
    assert (await world.verify(ours, person, world.code(person))).status_code == 200


@pytest.mark.security("S9")
async def test_a_credential_of_somebody_else_does_not_open(world: World) -> None:
    application = await world.application()
    person, other = await world.person(application.tenant), await world.person(application.tenant)
    connection = await world.stored.superuser()
    await connection.execute(
        "UPDATE authenticator a SET sealed = b.sealed FROM authenticator b"
        " WHERE a.id = $1 AND b.id = $2",
        person.authenticator_id,
        other.authenticator_id,
    )
    await connection.close()

    answer = await world.verify(application, person, world.code(other))

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "mfa.verified" not in await world.events(person)


async def test_a_factor_that_the_policy_does_not_allow_is_not_accepted(world: World) -> None:
    application = await world.application(factors=(Factor.PASSKEY,), scopes=REASONS)
    person = await world.person(application.tenant)

    answer = await world.verify(application, person, world.code(person))

    assert reason_of(answer) == "nothing_enrolled"
    assert (await world.decide(application, person.name)).json()["decision"] == "enroll"


async def test_an_application_without_a_known_policy_gets_no_guess(world: World) -> None:
    application = await world.application(with_policy=False)
    person = await world.person(application.tenant)

    answers = [
        await world.decide(application, person.name),
        await world.verify(application, person, world.code(person)),
    ]

    assert [answer.status_code for answer in answers] == [503, 503]


async def test_decides_by_requirement_and_enrollment(world: World) -> None:
    required = await world.application()
    off = await world.application(tenant=required.tenant, requirement=Requirement.OFF)
    person = await world.person(required.tenant)

    assert (await world.decide(required, person.name)).json() == {
        "decision": "challenge",
        "reason": "required",
        "factors": ["totp"],
        "policy_version": 1,
        "remembered": False,
    }
    assert (await world.decide(required, "new@example.org")).json()["decision"] == "enroll"
    assert (await world.decide(off, person.name)).json()["decision"] == "allow"


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "body",
    [
        {"subject": " a@example.org", "code": "123456"},
        {"subject": "a@example.org\u200b", "code": "123456"},
        {"subject": "a\u00a0b@example.org", "code": "123456"},
        {"subject": "\uff41@example.org", "code": "123456"},
        {"subject": ["a@example.org"], "code": "123456"},
        {"subject": "a@example.org", "code": 123456},
        {"subject": "a@example.org", "code": "12345"},
        {"subject": "a@example.org", "code": "123456 "},
        {"subject": "a@example.org", "code": "123456\n"},
        {"subject": "a@example.org", "code": "\u0661\u0662\u0663\u0664\u0665\u0666"},
        {"subject": "a@example.org", "code": "123456", "tenant": str(uuid4())},
        {"subject": "a@example.org"},
        {"subject": "", "code": "123456"},
        {"subject": "x" * 321, "code": "123456"},
    ],
)
async def test_refuses_other_forms_without_quoting_them(
    world: World, body: dict[str, object]
) -> None:
    application = await world.application()

    answer = await world.public.post(
        "/v1/verify", json=body, headers={"Authorization": f"Bearer {application.key}"}
    )

    assert answer.status_code == 422
    assert "123456" not in answer.text


@pytest.mark.parametrize("authorization", [None, "Bearer x", "Basic eDp5", "Bearer ww_test_aaaa"])
async def test_refuses_callers_without_a_key(world: World, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    body = {"subject": "a@example.org", "code": "123456"}

    answer = await world.public.post("/v1/verify", json=body, headers=headers)

    assert answer.status_code == 401


async def test_refuses_a_key_without_the_scope(world: World) -> None:
    application = await world.application(scopes=(Scope.ENROLL,))
    person = await world.person(application.tenant)

    answer = await world.verify(application, person, world.code(person))

    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
