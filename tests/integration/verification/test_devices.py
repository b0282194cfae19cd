"""Remembered devices: asked again after a week, after a theft and after every removal."""

import json
from asyncio import create_task, gather, wait
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from contracts.envelope import about_person
from contracts.internal import RevokedAuthenticator
from contracts.policy import SUBJECT_STATE, SubjectState
from contracts.vocabulary import Factor, Language, Requirement, Scope
from libs.postgres.pool import tenant_transaction
from services.verification.domain.device import read, written
from services.verification.domain.outcome import Accepted
from services.verification.store.devices import delete_old
from tests.integration.messaging.bench import until
from tests.integration.verification.conftest import Application, Person, World, running_world
from tests.integration.verification.processes import url_of
from tests.integration.verification.test_claims import revoke

RECEIPT: dict[str, object] = {"receipt": {"nonce": "nonce-of-a-login"}}
REMEMBER: dict[str, object] = {"device": {"remember": True}}


async def ask(
    world: World,
    application: Application,
    person: Person,
    *,
    code: str | None = None,
    key: str | None = None,
    more: Mapping[str, object] = REMEMBER,
    quickly: bool = True,
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {application.key}"}
    headers |= {"Idempotency-Key": key} if key else {}
    body = {"subject": person.name, "code": code or world.code(person), **more}
    client = world.quick if quickly else world.public
    return await client.post("/v1/verify", json=body, headers=headers)


async def decide(
    world: World, application: Application, person: Person, token: object
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {application.key}"}
    body = {"subject": person.name, "device": token}
    return await world.public.post("/v1/decisions", json=body, headers=headers)


async def remembered(
    world: World, *, requirement: Requirement = Requirement.REQUIRED
) -> tuple[Application, Person, str]:
    application = await world.application(requirement=requirement)
    person = await world.person(application.tenant)
    answer = await ask(world, application, person)
    return application, person, answer.json()["device"]["token"]


async def is_known(world: World, application: Application, person: Person, token: str) -> bool:
    answer = (await decide(world, application, person, token)).json()
    assert (answer["decision"] == "allow") == answer["remembered"] == ("device" in answer)
    return bool(answer["remembered"])


async def forgotten_because(world: World, person: Person) -> list[str]:
    rows = await world.rows(
        "SELECT payload FROM outbox WHERE aggregateid = $1 AND type = 'mfa.device_forgotten'"
        " ORDER BY sequence",
        f"{person.tenant}/{person.subject_ref}",
    )
    return [json.loads(bytes(row["payload"]))["data"]["reason"] for row in rows]  # type: ignore[call-overload]


@pytest.mark.requirement("D5")
@pytest.mark.parametrize("quickly", [False, True])
async def test_the_same_device_is_asked_again_after_seven_days_another_one_at_once(
    world: World, quickly: bool
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    token = (await ask(world, application, person, quickly=quickly)).json()["device"]["token"]
    assert (await decide(world, application, person, None)).json()["decision"] == "challenge"

    for _ in range(6):
        world.clock.forward(timedelta(days=1))
        answer = (await decide(world, application, person, token)).json()
        assert (answer["decision"], answer["reason"]) == ("allow", "remembered")
        assert answer["remembered"] is True
        assert answer["factors"] == ["totp"]
        token = answer["device"]["token"]
    world.clock.forward(timedelta(days=1))

    answer = (await decide(world, application, person, token)).json()
    assert (answer["decision"], answer["remembered"]) == ("challenge", False)
    assert await world.events(person) == [
        "mfa.credential_claimed",
        "mfa.verified",
        "mfa.device_remembered",
    ]


@pytest.mark.parametrize("more", [{}, {"device": None}, {"device": {"remember": False}}])
@pytest.mark.parametrize("quickly", [False, True])
async def test_nothing_is_remembered_that_nobody_asked_for(
    world: World, more: dict[str, object], quickly: bool
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await ask(world, application, person, more=more, quickly=quickly)

    assert answer.status_code == 200
    assert "device" not in answer.json()
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "more",
    [
        {"device": {}},
        {"device": {"remember": 1}},
        {"device": {"remember": "true"}},
        {"device": {"remember": True, "token": "x"}},
        {"device": True},
        {"receipt": {"nonce": "a-good-nonce", "aud": "x"}},
        {"receipt": {}},
        {"receipt": "a-good-nonce"},
    ],
)
async def test_both_lanes_refuse_other_forms(world: World, more: dict[str, object]) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answers = [
        await ask(world, application, person, more=more, quickly=quickly)
        for quickly in (True, False)
    ]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert "mfa.verified" not in await world.events(person)


async def test_a_wrong_code_remembers_nothing(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)

    answer = await ask(world, application, person, code=world.wrong_code(person))

    assert answer.status_code == 403
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.fault("R10")
async def test_a_repeat_gets_the_same_device_and_remembers_no_other(
    world: World, tmp_path: Path
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    more = REMEMBER | RECEIPT

    answers = await gather(
        *(ask(world, application, person, code=code, key=key, more=more) for _ in range(4))
    )
    await decide(world, application, person, answers[0].json()["device"]["token"])
    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        answers.append(await ask(other, application, person, code=code, key=key, more=more))

    assert answers[0].status_code == 200
    assert len({answer.content for answer in answers}) == 1
    assert (await world.events(person)).count("mfa.device_remembered") == 1


@pytest.mark.fault("R10")
async def test_a_repeat_remembers_what_the_first_could_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex

    async def lose(*_args: object, **_named: object) -> None:
        raise OSError("the connection is lost")

    with monkeypatch.context() as patched:
        patched.setattr("services.verification.use_cases.devices.store.add", lose)
        first = await ask(world, application, person, code=code, key=key)
    again = await ask(world, application, person, code=code, key=key)

    assert (first.status_code, again.status_code) == (503, 200)
    assert await is_known(world, application, person, again.json()["device"]["token"])


async def test_a_repeat_does_not_bring_a_forgotten_device_back(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    first = await ask(world, application, person, code=code, key=key)
    await delete(world, application, first.json()["device"]["id"])

    again = await ask(world, application, person, code=code, key=key)

    assert again.content == first.content
    assert not await is_known(world, application, person, again.json()["device"]["token"])


async def test_several_tabs_and_a_lost_answer_get_the_same_next_token(world: World) -> None:
    application, person, token = await remembered(world)

    answers = await gather(*(decide(world, application, person, token) for _ in range(8)))
    world.clock.forward(timedelta(seconds=9))
    answers.append(await decide(world, application, person, token))

    tokens = {answer.json()["device"]["token"] for answer in answers}
    assert len(tokens) == 1
    assert token not in tokens
    assert await is_known(world, application, person, tokens.pop())
    assert await forgotten_because(world, person) == []


@pytest.mark.security("S1")
async def test_of_two_users_of_one_token_one_is_found_out_and_both_are_asked(
    world: World, tmp_path: Path
) -> None:
    application, person, stolen = await remembered(world)
    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        owner, thief = await gather(
            decide(world, application, person, stolen), decide(other, application, person, stolen)
        )
        tokens = [answer.json()["device"]["token"] for answer in (owner, thief)]
        assert tokens[0] == tokens[1]
        next_token = (await decide(other, application, person, tokens[1])).json()["device"]["token"]
        world.clock.forward(timedelta(seconds=11))

        found_out = await decide(world, application, person, tokens[0])
        after = await decide(other, application, person, next_token)

    assert [one.json()["decision"] for one in (found_out, after)] == ["challenge", "challenge"]
    assert await forgotten_because(world, person) == ["theft"]


Ending = Callable[[World, Person], Awaitable[None]]


async def removed(world: World, person: Person) -> None:
    await revoke(world, person)


async def reset(world: World, person: Person) -> None:
    one = RevokedAuthenticator(
        authenticator_id=person.authenticator_id, factor=Factor.TOTP, epoch=2
    )
    await world.parts.events.credentials.revoke_now(
        tenant=person.tenant, subject=person.subject_ref, revoked=(one,), reset_id=uuid4()
    )


async def deleted(world: World, person: Person) -> None:
    state = SubjectState(
        subject_ref=person.subject_ref,
        version=2,
        deleted=True,
        user_type=None,
        groups=(),
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


@pytest.mark.requirement("D5")
@pytest.mark.parametrize(
    ("end", "why"),
    [(removed, "authenticator_removed"), (reset, "reset"), (deleted, "subject_deleted")],
)
async def test_a_device_is_forgotten_with_any_authenticator_also_in_other_processes(
    world: World, tmp_path: Path, end: Ending, why: str
) -> None:
    application, person, token = await remembered(world)
    await world.second_authenticator(person)
    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        token = (await decide(other, application, person, token)).json()["device"]["token"]

        await end(world, person)

        assert not await is_known(other, application, person, token)
    assert await forgotten_because(world, person) == [why]
    assert await world.rows("SELECT 1 FROM device WHERE forgotten_at IS NULL") == []


async def test_a_removal_that_is_heard_again_spares_newer_devices(world: World) -> None:
    application, person, _ = await remembered(world)
    await revoke(world, person)
    person_again = await world.second_authenticator(person)
    token = (await ask(world, application, person_again)).json()["device"]["token"]

    await revoke(world, person)

    assert await is_known(world, application, person_again, token)


async def test_a_removal_that_overtakes_the_answer_leaves_no_device(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    answer = (await ask(world, application, person, more={})).json()
    await revoke(world, person)
    accepted = Accepted(answer["event_id"], person.authenticator_id, "totp", world.clock())

    kept = await world.parts.door.devices.remember(
        accepted, tenant=person.tenant, application=application.application_id
    )

    assert kept is None
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.security("S1")
async def test_a_removal_that_is_under_way_ends_before_a_device_is_remembered(
    world: World,
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    answer = (await ask(world, application, person, more={})).json()
    accepted = Accepted(answer["event_id"], person.authenticator_id, "totp", world.clock())
    devices = world.parts.door.devices
    one = RevokedAuthenticator(
        authenticator_id=person.authenticator_id, factor=Factor.TOTP, epoch=2
    )

    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await world.parts.events.credentials.revoke(
            tx, tenant=person.tenant, subject=person.subject_ref, revoked=(one,), reset_id=None
        )
        remembering = create_task(
            devices.remember(accepted, tenant=person.tenant, application=application.application_id)
        )
        await wait((remembering,), timeout=0.5)

    assert await remembering is None
    assert await world.rows("SELECT 1 FROM device") == []


@pytest.mark.security("S1")
async def test_parallel_uses_make_one_generation(world: World) -> None:
    application, person, token = await remembered(world)
    superuser = await world.stored.superuser()

    async with superuser.transaction():
        await superuser.execute("SELECT 1 FROM device FOR UPDATE")
        asked = [create_task(decide(world, application, person, token)) for _ in range(4)]
        await until(lambda: _all_wait(world, 4))
    answers = await gather(*asked)
    await superuser.close()

    assert len({answer.json()["device"]["token"] for answer in answers}) == 1
    assert await world.rows("SELECT generation FROM device") == [{"generation": 2}]


async def _all_wait(world: World, number: int) -> bool:
    rows = await world.rows(
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return len(rows) >= number


@pytest.mark.security("S12")
async def test_a_token_that_we_did_not_make_is_unknown(world: World) -> None:
    application, person, token = await remembered(world)
    said = read(token)
    assert said is not None

    for forged in (written(said, b"x" * 32), token[:-2] + ("AA" if token[-2:] != "AA" else "BB")):
        assert not await is_known(world, application, person, forged)
    assert await is_known(world, application, person, token)


@pytest.mark.parametrize(
    ("first", "second"),
    [(REMEMBER, {}), ({}, REMEMBER), (REMEMBER, RECEIPT), (RECEIPT, REMEMBER | RECEIPT)],
)
async def test_asking_for_something_else_is_another_request(
    world: World, first: dict[str, object], second: dict[str, object]
) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    code, key = world.code(person), uuid4().hex
    await ask(world, application, person, code=code, key=key, more=first)

    answer = await ask(world, application, person, code=code, key=key, more=second)

    assert answer.json()["code"] == "idempotency_key_reused"


@pytest.mark.security("S6")
async def test_a_device_is_known_to_its_application_and_person_only(world: World) -> None:
    application, person, token = await remembered(world)
    sister = await world.application(tenant=application.tenant)
    stranger = await world.application()
    other = await world.person(application.tenant)
    await ask(world, sister, other)

    assert not await is_known(world, sister, person, token)
    assert not await is_known(world, application, other, token)
    their_answer = (await decide(world, stranger, person, token)).json()
    assert (their_answer["decision"], their_answer["remembered"]) == ("enroll", False)
    assert await is_known(world, application, person, token)


@pytest.mark.security("S6")
async def test_a_token_of_another_tenant_is_unknown(world: World) -> None:
    application, person, _ = await remembered(world)
    _, _, theirs = await remembered(world)

    assert not await is_known(world, application, person, theirs)


@pytest.mark.security("S4")
@pytest.mark.parametrize("token", ["", "wwd_", "wwd_" + "A" * 75, "x" * 512, "wwd_\u00e9"])
async def test_a_token_that_is_none_is_as_good_as_none(world: World, token: str) -> None:
    application, person, _ = await remembered(world)

    assert not await is_known(world, application, person, token)


async def test_a_device_does_not_stand_for_an_authenticator(world: World) -> None:
    application, person, token = await remembered(world)
    other_factor = await world.application(tenant=application.tenant, factors=(Factor.PASSKEY,))
    off = await world.application(tenant=application.tenant, requirement=Requirement.OFF)
    not_ours = (await ask(world, off, person, code=world.code(person, steps=1))).json()["device"]

    answer = (await decide(world, off, person, not_ours["token"])).json()

    assert (answer["reason"], answer["remembered"]) == ("not_required", False)
    assert (await decide(world, other_factor, person, token)).json()["decision"] == "enroll"


async def search(world: World, application: Application, person: Person) -> list[dict[str, str]]:
    answer = await world.public.post(
        "/v1/devices/search",
        json={"subject": person.name},
        headers={"Authorization": f"Bearer {application.key}"},
    )
    assert answer.status_code == 200
    found: list[dict[str, str]] = answer.json()["devices"]
    return found


async def delete(world: World, application: Application, device_id: str) -> int:
    answer = await world.public.delete(
        f"/v1/devices/{device_id}", headers={"Authorization": f"Bearer {application.key}"}
    )
    return answer.status_code


@pytest.mark.requirement("D5")
async def test_devices_are_listed_and_forgotten_at_once(world: World, tmp_path: Path) -> None:
    application, person, token = await remembered(world)
    await ask(world, application, person, code=world.code(person, steps=1))
    [first, second] = await search(world, application, person)
    assert set(first) == {"id", "remembered_at", "last_used", "expires"}

    assert await delete(world, application, first["id"]) == 204

    async with running_world(world.stored, url_of(world), tmp_path, clock=world.clock) as other:
        assert not await is_known(other, application, person, token)
    assert await search(world, application, person) == [second]
    assert await delete(world, application, first["id"]) == 404
    assert await forgotten_because(world, person) == ["revoked"]


@pytest.mark.security("S6")
async def test_others_neither_list_nor_forget_our_devices(world: World) -> None:
    application, person, token = await remembered(world)
    [device] = await search(world, application, person)
    others = [await world.application(tenant=application.tenant), await world.application()]
    powerless = await world.application(tenant=application.tenant, scopes=(Scope.ENROLL,))

    for other in others:
        assert await search(world, other, person) == []
        assert await delete(world, other, device["id"]) == 404
    assert await delete(world, powerless, device["id"]) == 403
    assert await is_known(world, application, person, token)


@pytest.mark.security("S14")
async def test_no_token_is_stored_or_announced(world: World) -> None:
    application, person, token = await remembered(world)
    next_token = (await decide(world, application, person, token)).json()["device"]["token"]

    rows = await world.rows("SELECT * FROM device")
    payloads = await world.rows("SELECT payload FROM outbox")

    everything = "".join(map(str, [*rows, *payloads]))
    assert not any(part in everything for one in (token, next_token) for part in (one, one[40:]))


async def test_the_worker_cleans_up_what_is_long_over(world: World) -> None:
    application, person, token = await remembered(world)
    _, _, expired = await remembered(world)
    await delete(world, application, (await search(world, application, person))[0]["id"])
    keep = await remembered(world)
    connection = await world.stored.superuser()
    await connection.execute(
        "UPDATE device SET expires = now() - interval '2 hours' WHERE forgotten_at IS NULL"
        " AND subject_ref <> $1",
        keep[1].subject_ref,
    )
    await connection.execute("UPDATE device SET forgotten_at = forgotten_at - interval '2 hours'")
    await connection.close()

    await delete_old(world.plumbing.worker_pool, timedelta(hours=1))

    assert token != expired
    [row] = await world.rows("SELECT subject_ref FROM device")
    assert row["subject_ref"] == keep[1].subject_ref
