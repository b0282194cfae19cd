"""Passkeys are enrolled by what an authenticator in this process makes of the options."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.passkeys import PasskeyParty
from contracts.vocabulary import Factor
from tests.fixtures.soft_authenticator import UP, making, read, written
from tests.integration.enrollment.starting import begin
from tests.integration.enrollment.things import Application, Enrolled, Person
from tests.integration.enrollment.world import World

ORIGIN = "https://login.example.org"
PARTY = PasskeyParty(rp_id="example.org", origins=("https://example.org", ORIGIN))


async def _application(
    world: World, *, tenant: UUID | None = None, party: PasskeyParty | None = PARTY
) -> Application:
    return await world.application(
        tenant=tenant, factors=(Factor.PASSKEY, Factor.TOTP), passkeys=party
    )


async def _begin(world: World, application: Application, person: Person) -> dict[str, Any]:
    wish = {"subject": person.name, "factor": "passkey", "name": "My laptop"}
    answer = await world.ask(application, "POST", "/v1/enrollments", wish)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def _made(shown: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return making(shown["public_key"], ORIGIN, **changed).credential()


async def _confirm(
    world: World, application: Application, shown: dict[str, Any], body: object
) -> httpx2.Response:
    path = f"/v1/enrollments/{shown['enrollment_id']}/confirmation"
    return await world.ask(application, "POST", path, body)


async def _enroll(
    world: World, application: Application, person: Person, **changed: Any
) -> Enrolled:
    shown = await _begin(world, application, person)
    body = {"credential": _made(shown, **changed)}
    answer = await _confirm(world, application, shown, body)
    assert answer.status_code == 200, answer.text
    became = answer.json()["authenticator_id"]
    return Enrolled(person, became, answer.json()["recovery_ticket"], secret="", step=-1)


async def test_shows_what_the_browser_is_to_be_asked_for(world: World) -> None:
    application = await _application(world)
    person = world.person(application.tenant, label="Kim (manager)")

    shown = await _begin(world, application, person)

    options = shown["public_key"]
    assert options["rp"] == {"id": "example.org", "name": "Acme HR"}
    assert (options["user"]["name"], options["excludeCredentials"]) == ("Kim (manager)", [])
    assert len(read(options["challenge"])) == 32
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert {"otpauth_uri", "key", "codes", "sent_to", "digits"}.isdisjoint(shown)


async def test_without_a_relying_party_there_are_none(world: World) -> None:
    application = await _application(world, party=None)
    person = world.person(application.tenant)
    wish = {"subject": person.name, "factor": "passkey"}

    answer = await world.ask(application, "POST", "/v1/enrollments", wish)

    assert (answer.status_code, answer.json()["code"]) == (409, "passkeys_not_set_up")
    assert await world.events(person) == []


async def test_a_person_is_known_to_authenticators_by_one_id_that_tells_nothing(
    world: World,
) -> None:
    application = await _application(world)
    sister = await _application(world, tenant=application.tenant)
    person, other = world.person(application.tenant), world.person(application.tenant)
    elsewhere = await _application(world)
    namesake = Person(elsewhere.tenant, person.subject_ref, person.name)
    world.neighbours.subjects[elsewhere.tenant, person.name] = (person.subject_ref, "Kim")

    asked = [(application, person), (sister, person), (application, other), (elsewhere, namesake)]
    ids = [(await _begin(world, *one))["public_key"]["user"]["id"] for one in asked]

    assert ids[0] == ids[1]
    assert len({ids[0], ids[2], ids[3]}) == 3
    assert {len(read(one)) for one in ids} == {32}
    assert person.subject_ref.bytes not in read(ids[0])


async def test_a_passkey_counts_once_it_is_made(world: World) -> None:
    application = await _application(world)
    person = world.person(application.tenant)
    shown = await _begin(world, application, person)
    before = await world.event_types(person)

    answer = await _confirm(world, application, shown, {"credential": _made(shown)})

    assert answer.status_code == 200, answer.text
    assert (answer.json()["factor"], answer.json()["second_method_advised"]) == ("passkey", True)
    assert before == ["enrollment_started"]
    kind, data = (await world.events(person))[-1]
    assert (kind, data["factor"]) == ("mfa.enrolled", "passkey")
    search = {"subject": person.name}
    found = await world.ask(application, "POST", "/v1/authenticators/search", search)
    [one] = found.json()["authenticators"]
    assert (one["factor"], one["name"], one["status"]) == ("passkey", "My laptop", "active")


async def test_what_shows_nothing_costs_a_try_and_the_fifth_is_the_end(world: World) -> None:
    application = await _application(world)
    shown = await _begin(world, application, world.person(application.tenant))
    wrong: list[dict[str, Any]] = [
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": UP | 0x40},
        {"challenge": written(bytes(32))},
        {"kind": "webauthn.get"},
    ]

    answers = [
        await _confirm(world, application, shown, {"credential": _made(shown, **one)})
        for one in wrong
    ]
    late = await _confirm(world, application, shown, {"credential": _made(shown)})

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(403, "proof_refused")}
    assert [one.json()["detail"] for one in answers] == ["4", "3", "2", "1", "0"]
    assert (late.status_code, late.json()["code"]) == (410, "gone")


async def test_what_has_another_form_costs_no_try(world: World) -> None:
    application = await _application(world)
    shown = await _begin(world, application, world.person(application.tenant))
    good = _made(shown)
    response = good["response"]
    bodies: list[object] = [
        {},
        {"code": "123456"},
        {"code": "123456", "credential": good},
        {"next_code": "123456", "credential": good},
        {"credential": None},
        {"credential": "text"},
        {"credential": {**good, "type": "password"}},
        {"credential": {**good, "id": "a" * 1365}},
        {"credential": {**good, "rawId": "AAAAA"}},
        {"credential": {**good, "response": {}}},
        {"credential": {**good, "response": {**response, "clientDataJSON": "not base64!"}}},
        {"credential": {**good, "response": {**response, "attestationObject": "A" * 32769}}},
        {"credential": {**good, "response": {**response, "transports": ["usb"] * 17}}},
        {"credential": {**good, "response": {**response, "transports": [1]}}},
    ]

    for body in bodies:
        answer = await _confirm(world, application, shown, body)
        assert answer.status_code == 422, body
        assert good["rawId"] not in answer.text
    big = await _confirm(world, application, shown, {"credential": {**good, "more": "a" * 70_000}})
    confirmed = await _confirm(world, application, shown, {"credential": good})

    assert big.status_code == 413
    assert confirmed.status_code == 200, confirmed.text


async def test_a_passkey_does_not_confirm_another_factor(world: World) -> None:
    application = await _application(world)
    person = world.person(application.tenant)
    passkey = await _begin(world, application, person)
    phone = await begin(world, application, person, Factor.TOTP)

    answer = await _confirm(world, application, phone.shown, {"credential": _made(passkey)})

    assert answer.status_code == 422
    shown = await world.ask(application, "GET", phone.path)
    assert shown.json()["tries_left"] == 5


async def test_a_response_is_good_for_its_own_options_only(world: World) -> None:
    application = await _application(world)
    person = world.person(application.tenant)
    first, second = [await _begin(world, application, person) for _ in range(2)]

    replayed = await _confirm(world, application, second, {"credential": _made(first)})

    assert (replayed.status_code, replayed.json()["code"]) == (403, "proof_refused")
    assert first["public_key"]["challenge"] != second["public_key"]["challenge"]


async def test_a_lost_answer_is_given_again_and_to_nothing_else(world: World) -> None:
    application = await _application(world)
    shown = await _begin(world, application, world.person(application.tenant))
    body = {"credential": _made(shown)}

    first = await _confirm(world, application, shown, body)
    again = await _confirm(world, application, shown, body)
    other = await _confirm(world, application, shown, {"credential": _made(shown)})

    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (409, "already_confirmed")


async def test_of_parallel_confirmations_one_makes_the_authenticator(world: World) -> None:
    application = await _application(world)
    person = world.person(application.tenant)
    shown = await _begin(world, application, person)
    body = {"credential": _made(shown)}

    answers = await asyncio.gather(*(_confirm(world, application, shown, body) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {200}
    assert (await world.event_types(person)).count("enrolled") == 1


async def test_one_passkey_is_nobody_elses_in_the_tenant(world: World) -> None:
    application, elsewhere = await _application(world), await _application(world)
    one, other = world.person(application.tenant), world.person(application.tenant)
    had = await _enroll(world, application, one, credential_id=b"the same" * 4)

    async def again(person: Person) -> httpx2.Response:
        shown = await _begin(world, application, person)
        made = _made(shown, credential_id=b"the same" * 4)
        return await _confirm(world, application, shown, {"credential": made})

    answers = [await again(one), await again(other)]
    await world.ask(application, "DELETE", f"/v1/authenticators/{had.authenticator_id}")
    answers.append(await again(other))

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (409, "already_enrolled")
    }
    assert "enrolled" not in await world.event_types(other)
    stranger = world.person(elsewhere.tenant)
    await _enroll(world, elsewhere, stranger, credential_id=b"the same" * 4)


async def test_of_two_people_with_one_passkey_at_once_one_gets_it(world: World) -> None:
    application = await _application(world)
    people = [world.person(application.tenant) for _ in range(6)]
    shown = [await _begin(world, application, person) for person in people]
    bodies = [{"credential": _made(one, credential_id=b"raced for" * 3)} for one in shown]

    answers = await asyncio.gather(
        *(_confirm(world, application, one, body) for one, body in zip(shown, bodies, strict=True))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    enrolled = [(await world.event_types(person)).count("enrolled") for person in people]
    assert sorted(enrolled) == [0] * 5 + [1]


async def test_the_browser_hears_which_passkeys_the_person_has(world: World) -> None:
    application = await _application(world)
    there = PasskeyParty(rp_id="example.net", origins=(ORIGIN,))
    sister = await _application(world, tenant=application.tenant, party=there)
    person = world.person(application.tenant)
    await _enroll(world, application, person, credential_id=b"kept" * 4)
    gone = await _enroll(world, application, person, credential_id=b"gone" * 4)
    await _enroll(world, sister, person, credential_id=b"there" * 4)
    await world.ask(application, "DELETE", f"/v1/authenticators/{gone.authenticator_id}")

    here, elsewhere = [await _begin(world, one, person) for one in (application, sister)]
    other = await _begin(world, application, world.person(application.tenant))

    assert here["public_key"]["excludeCredentials"] == [
        {"type": "public-key", "id": written(b"kept" * 4), "transports": ["internal", "hybrid"]}
    ]
    [one] = elsewhere["public_key"]["excludeCredentials"]
    assert one["id"] == written(b"there" * 4)
    assert other["public_key"]["excludeCredentials"] == []


async def test_another_device_is_asked_for_the_same(world: World) -> None:
    application = await _application(world)
    shown = await _begin(world, application, world.person(application.tenant))
    path = f"/v1/enrollments/{shown['enrollment_id']}/handover"
    out = (await world.ask(application, "POST", path)).json()

    body = {"link_token": out["link_token"]}
    there = await world.ask(application, "POST", "/v1/enrollments/continuation", body)
    confirmed = await _confirm(world, application, shown, {"credential": _made(there.json())})

    assert there.json()["public_key"] == shown["public_key"]
    assert confirmed.status_code == 200, confirmed.text


async def test_verification_cannot_claim_what_it_cannot_judge(world: World) -> None:
    application = await _application(world)
    about = await _enroll(world, application, world.person(application.tenant))

    claimed = await world.claim(about, uuid4())
    acknowledged = await world.acknowledge(about, uuid4())

    assert (claimed, acknowledged) == (404, 409)


async def test_a_removal_is_effective_and_erases_what_was_kept(world: World) -> None:
    application = await _application(world)
    about = await _enroll(world, application, world.person(application.tenant))
    path = f"/v1/authenticators/{about.authenticator_id}"

    removed = await world.ask(application, "DELETE", path)

    assert removed.json() == {"status": "effective"}
    assert world.neighbours.revoked_ids() == [about.authenticator_id]
    query = "SELECT status, sealed, mark_digest IS NULL AS open FROM authenticator WHERE id = $1"
    assert await world.rows(query, about.authenticator_id) == [
        {"status": "removed", "sealed": None, "open": False}
    ]


@pytest.mark.security("S14")
async def test_neither_events_nor_tables_tell_which_passkey_it_is(world: World) -> None:
    application = await _application(world)
    person = world.person(application.tenant)
    credential_id = uuid4().bytes + uuid4().bytes
    await _enroll(world, application, person, credential_id=credential_id)
    pending = await _begin(world, application, person)

    tables = ("outbox", "enrollment", "authenticator", "subject", "data_key")
    text = json.dumps(
        [await world.rows(f"SELECT t::text AS all_of_it FROM {table} t") for table in tables]
    )
    payloads = await world.rows("SELECT convert_from(payload, 'UTF8') AS body FROM outbox")
    text += "".join(str(row["body"]) for row in payloads)

    user_id, challenge = pending["public_key"]["user"]["id"], pending["public_key"]["challenge"]
    secrets = [credential_id, read(user_id), read(challenge)]
    found = [one for one in secrets if one.hex() in text or written(one) in text]
    assert (found, len(text) > 1000) == ([], True)
