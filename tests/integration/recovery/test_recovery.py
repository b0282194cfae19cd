import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.enrollment import RESET_APPLIED, ResetApplied
from contracts.verification import CREDENTIAL_FORGOTTEN, CredentialForgotten
from contracts.vocabulary import Scope
from services.recovery.domain.tries import CAPACITY
from tests.integration.recovery.conftest import World


def shape(answer: httpx2.Response) -> tuple[object, ...]:
    """Return all of an answer but the id of the request's own trace."""
    body = {name: value for name, value in answer.json().items() if name != "trace_id"}
    return answer.status_code, body, len(answer.content), sorted(answer.headers.items())


KEYS, RECOVERIES = "/v1/recovery-keys", "/v1/recoveries"


async def test_a_recovery_key_is_stored_as_a_hash_only(world: World) -> None:
    tenant, (_, subject) = uuid4(), world.person()
    key = await world.application(tenant)

    issued = await world.new_key(key, tenant, subject)

    connection = await world.stored.superuser()
    stored = str(await connection.fetch("SELECT * FROM recovery_key"))
    await connection.close()
    shown = str(issued["recovery_key"]).replace("-", "")
    assert shown[6:] not in stored
    assert await world.events(tenant, subject) == [
        "mfa.recovery_key_issued",
        "mfa.recovery_key_acknowledged",
    ]


async def test_a_lost_answer_is_repeated_with_a_new_key_until_one_is_acknowledged(
    world: World,
) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    body = {"ticket": world.ticket(tenant, subject)}
    lost = (await world.post(key, KEYS, body)).json()
    shown = (await world.post(key, KEYS, body)).json()

    path = f"{KEYS}/{shown['recovery_key_id']}/acknowledgement"
    stale = await world.post(key, path, {"generation": lost["generation"]})
    taken = [await world.post(key, path, {"generation": shown["generation"]}) for _ in range(2)]
    again = await world.post(key, KEYS, body)
    with_lost = await world.post(
        key, RECOVERIES, {"subject": name, "recovery_key": lost["recovery_key"]}
    )

    assert (stale.status_code, stale.json()["code"]) == (409, "newer_key_issued")
    assert [answer.status_code for answer in taken] == [200, 200]
    assert (again.status_code, again.json()["code"]) == (409, "already_acknowledged")
    assert with_lost.status_code == 403


@pytest.mark.security("S12")
@pytest.mark.parametrize(
    "changed",
    [
        {"signer": "policy"},
        {"iss": "policy"},
        {"aud": "recovery"},
        {"exp": 1},
        {"iat": None},
        {"iat": "yesterday"},
        {"tenant": str(UUID(int=7))},
        {"sub": "somebody"},
    ],
)
async def test_refuses_tickets_that_enrollment_did_not_sign_for_this(
    world: World, changed: dict[str, object]
) -> None:
    tenant, (_, subject) = uuid4(), world.person()
    key = await world.application(tenant)

    answer = await world.post(key, KEYS, {"ticket": world.ticket(tenant, subject, changed)})

    assert (answer.status_code, answer.json()["code"]) == (403, "ticket_invalid")


async def test_the_key_begins_a_reset_that_takes_effect_at_once(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)

    answer = await world.post(
        key, RECOVERIES, {"subject": name, "recovery_key": issued["recovery_key"]}
    )

    assert (answer.status_code, answer.json()["status"]) == (200, "effective")
    assert world.owners.resets == [UUID(answer.json()["reset_id"])]
    assert (await world.events(tenant, subject))[-2:] == [
        "mfa.recovery_used",
        "mfa.reset_requested",
    ]


async def test_says_pending_where_enrollment_is_down_and_the_event_is_on_its_way(
    world: World,
) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    world.owners.enrollment_down = True

    answer = await world.post(
        key, RECOVERIES, {"subject": name, "recovery_key": issued["recovery_key"]}
    )

    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert (await world.events(tenant, subject))[-1] == "mfa.reset_requested"


async def test_spends_nothing_where_policy_cannot_say_who_it_is(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    body = {"subject": name, "recovery_key": issued["recovery_key"]}
    world.owners.policy_down = True
    refused = await world.post(key, RECOVERIES, body)

    world.owners.policy_down = False

    assert refused.status_code == 503
    assert (await world.post(key, RECOVERIES, body)).status_code == 200


async def test_of_many_uses_at_once_one_counts_and_all_hear_of_it(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    body = {"subject": name, "recovery_key": issued["recovery_key"]}

    answers = await asyncio.gather(*(world.post(key, RECOVERIES, body) for _ in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["reset_id"] for answer in answers}) == 1
    assert (await world.events(tenant, subject)).count("mfa.recovery_used") == 1
    assert (await world.events(tenant, subject)).count("mfa.reset_requested") == 1


async def test_a_lost_answer_to_a_recovery_is_repeated_for_a_while(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    body = {"subject": name, "recovery_key": issued["recovery_key"]}
    world.owners.enrollment_down = True
    lost = await world.post(key, RECOVERIES, body)
    events = await world.events(tenant, subject)

    world.owners.enrollment_down = False
    world.clock.forward(timedelta(minutes=14))
    repeated = await world.post(key, RECOVERIES, body)
    new = await world.new_key(key, tenant, subject)
    old = await world.post(key, RECOVERIES, body)
    after = await world.events(tenant, subject)
    world.clock.forward(timedelta(minutes=1))
    late = await world.post(key, RECOVERIES, body)

    reset_id = lost.json()["reset_id"]
    assert (lost.status_code, lost.json()["status"]) == (202, "pending")
    assert repeated.json() == old.json() == {"reset_id": reset_id, "status": "effective"}
    assert after == [*events, "mfa.recovery_key_issued", "mfa.recovery_key_acknowledged"]
    assert (late.status_code, late.json()["code"]) == (403, "not_recovered")
    newest = await world.post(key, RECOVERIES, {**body, "recovery_key": new["recovery_key"]})
    assert (newest.status_code, newest.json()["reset_id"] == reset_id) == (200, False)


async def test_only_the_key_that_was_used_says_which_reset_it_began(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    used = await world.new_key(key, tenant, subject)
    unused = (await world.post(key, KEYS, {"ticket": world.ticket(tenant, subject)})).json()
    (other, _), text = world.person(), used["recovery_key"]
    await world.post(key, RECOVERIES, {"subject": name, "recovery_key": text})

    for_other = await world.post(key, RECOVERIES, {"subject": other, "recovery_key": text})
    by_unused = await world.post(
        key, RECOVERIES, {"subject": name, "recovery_key": unused["recovery_key"]}
    )

    assert [answer.status_code for answer in (for_other, by_unused)] == [403, 403]


@pytest.mark.security("S12")
async def test_a_ticket_from_before_a_reset_is_no_longer_good(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    known = {"ticket": world.ticket(tenant, subject)}
    await world.post(key, KEYS, known)
    old = [known, {"ticket": world.ticket(tenant, subject)}]
    body = {"subject": name, "recovery_key": issued["recovery_key"]}
    assert (await world.post(key, RECOVERIES, body)).status_code == 200

    refused = [await world.post(key, KEYS, ticket) for ticket in old]
    world.clock.forward(timedelta(seconds=1))
    new = await world.post(key, KEYS, {"ticket": world.ticket(tenant, subject)})
    (_, somebody) = world.person()
    of_other = await world.post(key, KEYS, {"ticket": world.ticket(tenant, somebody)})

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [
        (403, "ticket_invalid")
    ] * 2
    assert (new.status_code, of_other.status_code) == (201, 201)


@pytest.mark.parametrize("whole_seconds", [True, False])
async def test_a_ticket_of_the_moment_of_a_reset_is_refused_where_in_doubt(
    world: World, whole_seconds: bool
) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    body = {"subject": name, "recovery_key": issued["recovery_key"]}
    reset = (await world.post(key, RECOVERIES, body)).json()["reset_id"]
    headers = {"Authorization": f"Bearer {key}"}
    shown = (await world.http.get(f"/v1/resets/{reset}", headers=headers)).json()["requested_at"]
    requested = datetime.fromisoformat(shown).timestamp()
    iat = int(requested) if whole_seconds else requested + 0.001

    answer = await world.post(key, KEYS, {"ticket": world.ticket(tenant, subject, {"iat": iat})})

    assert answer.status_code == (403 if whole_seconds else 201)


async def test_a_ticket_and_a_recovery_at_once_leave_no_key_from_before(world: World) -> None:
    tenant = uuid4()
    key = await world.application(tenant)
    for _ in range(5):
        name, subject = world.person()
        issued = await world.new_key(key, tenant, subject)
        body = {"subject": name, "recovery_key": issued["recovery_key"]}
        tickets = [{"ticket": world.ticket(tenant, subject)} for _ in range(3)]

        await asyncio.gather(
            *(world.post(key, KEYS, ticket) for ticket in tickets),
            world.post(key, RECOVERIES, body),
        )

        connection = await world.stored.superuser()
        rows = await connection.fetch(
            "SELECT DISTINCT status FROM recovery_key WHERE subject_ref = $1", subject
        )
        await connection.close()
        assert [row["status"] for row in rows] == ["used"]


async def test_a_key_that_is_not_in_force_is_not_acknowledged(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    first = (await world.post(key, KEYS, {"ticket": world.ticket(tenant, subject)})).json()
    second = await world.new_key(key, tenant, subject)

    async def acknowledged(issued: dict[str, object]) -> tuple[int, object]:
        path = f"{KEYS}/{issued['recovery_key_id']}/acknowledgement"
        answer = await world.post(key, path, {"generation": 1})
        return answer.status_code, answer.json().get("code")

    replaced = await acknowledged(first)
    body = {"subject": name, "recovery_key": second["recovery_key"]}
    await world.post(key, RECOVERIES, body)

    assert replaced == (409, "newer_key_issued")
    assert await acknowledged(second) == (409, "already_used")


@pytest.mark.security("S6")
async def test_a_key_belongs_to_one_person_of_one_tenant(world: World) -> None:
    tenant, other_tenant = uuid4(), uuid4()
    (name, subject), (other, _) = world.person(), world.person()
    key, foreign = await world.application(tenant), await world.application(other_tenant)
    text = (await world.new_key(key, tenant, subject))["recovery_key"]

    for_other = await world.post(key, RECOVERIES, {"subject": other, "recovery_key": text})
    elsewhere = await world.post(foreign, RECOVERIES, {"subject": name, "recovery_key": text})
    stranger = await world.post(key, RECOVERIES, {"subject": "nobody", "recovery_key": text})

    assert {answer.status_code for answer in (for_other, elsewhere, stranger)} == {403}
    assert shape(for_other) == shape(elsewhere) == shape(stranger)


@pytest.mark.standard("NIST 800-63B-4 4.2")
async def test_wrong_keys_are_counted_and_in_the_end_not_looked_at(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    right = str(issued["recovery_key"])
    wrong = {"subject": name, "recovery_key": right[:-1] + ("0" if right[-1] != "0" else "1")}
    body = {"subject": name, "recovery_key": right}

    refused = [await world.post(key, RECOVERIES, wrong) for _ in range(CAPACITY)]
    refused.append(await world.post(key, RECOVERIES, body))
    refused.append(await world.post(key, RECOVERIES, {**wrong, "subject": "nobody"}))

    # The last ones were not looked at, and must not tell by it who exists.
    assert {answer.status_code for answer in refused} == {403}
    assert all(shape(answer) == shape(refused[0]) for answer in refused)
    assert (await world.events(tenant, subject)).count("mfa.recovery_refused") == CAPACITY
    world.clock.forward(timedelta(hours=2))
    assert (await world.post(key, RECOVERIES, body)).status_code == 200


@pytest.mark.parametrize("enrollment_first", [True, False])
async def test_completes_when_all_is_forgotten_in_whatever_order_it_is_heard(
    world: World, enrollment_first: bool
) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    answer = await world.post(
        key, RECOVERIES, {"subject": name, "recovery_key": issued["recovery_key"]}
    )
    reset_id, authenticator = UUID(answer.json()["reset_id"]), uuid4()
    applied = (RESET_APPLIED, ResetApplied(reset_id=reset_id, authenticators=(authenticator,)))
    forgotten = (
        CREDENTIAL_FORGOTTEN,
        CredentialForgotten(authenticator_id=authenticator, epoch=2, reset_id=reset_id),
    )
    order = (applied, forgotten) if enrollment_first else (forgotten, applied)
    path = f"/v1/resets/{reset_id}"
    headers = {"Authorization": f"Bearer {key}"}

    await world.hear(*order[0], tenant=tenant, subject=subject)
    before = (await world.http.get(path, headers=headers)).json()["status"]
    for kind, data in (order[1], *order):
        await world.hear(kind, data, tenant=tenant, subject=subject)

    assert before == "requested"
    assert (await world.http.get(path, headers=headers)).json()["status"] == "completed"
    assert (await world.events(tenant, subject)).count("mfa.reset_completed") == 1


async def test_completes_where_verification_forgot_before_the_reset_began(world: World) -> None:
    tenant, (name, subject) = uuid4(), world.person()
    key = await world.application(tenant)
    issued = await world.new_key(key, tenant, subject)
    early, late = uuid4(), uuid4()

    async def forget(authenticator: UUID) -> None:
        data = CredentialForgotten(authenticator_id=authenticator, epoch=2, reset_id=None)
        await world.hear(CREDENTIAL_FORGOTTEN, data, tenant=tenant, subject=subject)

    await forget(early)
    answer = await world.post(
        key, RECOVERIES, {"subject": name, "recovery_key": issued["recovery_key"]}
    )
    applied = ResetApplied(reset_id=answer.json()["reset_id"], authenticators=(early, late))
    await world.hear(RESET_APPLIED, applied, tenant=tenant, subject=subject)
    before = await world.events(tenant, subject)
    await forget(late)

    assert "mfa.reset_completed" not in before
    assert await world.events(tenant, subject) == [*before, "mfa.reset_completed"]


async def test_needs_the_scope(world: World) -> None:
    tenant = uuid4()
    key = await world.application(tenant, scopes=(Scope.VERIFY,))

    answers = [
        await world.post(key, KEYS, {"ticket": "x"}),
        await world.post(key, f"{KEYS}/{uuid4()}/acknowledgement", {"generation": 1}),
        await world.post(key, RECOVERIES, {"subject": "a", "recovery_key": "x"}),
        await world.http.get(f"/v1/resets/{uuid4()}", headers={"Authorization": f"Bearer {key}"}),
    ]

    assert [answer.json()["code"] for answer in answers] == ["missing_scope"] * 4


@pytest.mark.security("S6")
async def test_outside_a_tenant_there_is_nothing(world: World) -> None:
    tenant, (_, subject) = uuid4(), world.person()
    await world.new_key(await world.application(tenant), tenant, subject)

    for table in ("recovery_key", "tries", "reset", "forgotten", "outbox", "replica"):
        query = f"SELECT count(*) FROM {table}"
        assert await world.plumbing.app_pool.fetchval(query) == 0
