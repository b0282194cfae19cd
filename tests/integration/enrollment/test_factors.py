"""Each factor is enrolled by proof of possession, and nothing counts before."""

import asyncio
from base64 import b32encode, b64decode
from secrets import token_bytes
from uuid import uuid4

import pyotp
import pytest
from argon2.low_level import Type, verify_secret

from contracts.internal import Credential
from contracts.vocabulary import Factor
from tests.integration.enrollment.starting import ALL, PIN, begin, confirm, enroll
from tests.integration.enrollment.world import World


@pytest.mark.parametrize("factor", ALL)
async def test_nothing_counts_before_it_is_confirmed(world: World, factor: Factor) -> None:
    application = await world.application(factors=(factor,))
    person = world.person(application.tenant)

    begun = await begin(world, application, person, factor)
    before = await world.event_types(person)
    listed = await world.ask(
        application, "POST", "/v1/authenticators/search", {"subject": person.name}
    )
    confirmed = await confirm(world, application, begun)

    assert "enrolled" not in before
    assert listed.json() == {"authenticators": []}
    assert confirmed.status_code == 200, confirmed.text
    assert confirmed.json()["factor"] == factor
    kind, data = (await world.events(person))[-1]
    assert (kind, data["factor"]) == ("mfa.enrolled", factor)


@pytest.mark.parametrize("factor", ALL)
async def test_a_wrong_code_costs_a_try_and_the_fifth_is_the_end(
    world: World, factor: Factor
) -> None:
    application = await world.application(factors=(factor,))
    begun = await begin(world, application, world.person(application.tenant), factor)
    wrong = "ZZZZZ-ZZZZZ" if factor is Factor.RECOVERY_CODE else _other(begun.code)

    answers = [await confirm(world, application, begun, wrong) for _ in range(5)]
    late = await confirm(world, application, begun)

    assert [answer.json().get("detail") for answer in answers] == ["4", "3", "2", "1", "0"]
    assert {answer.json()["code"] for answer in answers} == {"wrong_code"}
    assert (late.status_code, late.json()["code"]) == (410, "gone")


@pytest.mark.parametrize("factor", ALL)
async def test_another_form_of_code_costs_no_try(world: World, factor: Factor) -> None:
    application = await world.application(factors=(factor,))
    begun = await begin(world, application, world.person(application.tenant), factor)
    forms = [
        "1234567",
        "AAAAA-AAAAA",
        f" {begun.code}",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "12345",
        "",
    ]
    if factor is Factor.RECOVERY_CODE:
        forms = ["123456", begun.code.lower(), begun.code.replace("-", ""), "OOOOO-00000"]

    for form in forms:
        body = {"code": form}
        answer = await world.ask(application, "POST", f"{begun.path}/confirmation", body)
        assert answer.status_code == 422, (form, answer.text)

    assert (await confirm(world, application, begun)).status_code == 200


@pytest.mark.parametrize("factor", ALL)
async def test_of_parallel_confirmations_one_makes_the_authenticator(
    world: World, factor: Factor
) -> None:
    application = await world.application(factors=(factor,))
    person = world.person(application.tenant)
    begun = await begin(world, application, person, factor)

    answers = await asyncio.gather(*(confirm(world, application, begun) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["authenticator_id"] for answer in answers}) == 1
    assert (await world.event_types(person)).count("enrolled") == 1


async def test_verification_gets_the_credential_of_a_token(world: World) -> None:
    application = await world.application(factors=(Factor.HOTP,))
    about = await enroll(world, application, world.person(application.tenant), Factor.HOTP)

    credential = await world.claim(about, uuid4())

    assert isinstance(credential, Credential)
    # What confirmed it is spent, and all before.
    assert (credential.factor, credential.last_step, credential.period) == ("hotp", 9, None)


@pytest.mark.parametrize(("ahead", "codes", "status"), [(10, 1, 200), (11, 1, 403), (100, 2, 200)])
async def test_a_token_that_is_ahead_is_found(
    world: World, ahead: int, codes: int, status: int
) -> None:
    application = await world.application(factors=(Factor.HOTP,))
    seed, counter = b32encode(token_bytes(20)).decode(), 1000
    body = {"seed": seed, "counter": counter, "digits": 8}
    begun = await begin(world, application, world.person(application.tenant), Factor.HOTP, **body)
    token = pyotp.HOTP(seed, digits=8)
    given = [token.at(counter + ahead + place) for place in range(codes)]
    answer = dict(zip(("code", "next_code"), given, strict=False))

    confirmed = await world.ask(application, "POST", f"{begun.path}/confirmation", answer)

    assert confirmed.status_code == status, confirmed.text


async def test_a_seed_that_is_short_is_refused_and_not_quoted(world: World) -> None:
    application = await world.application(factors=(Factor.HOTP,))
    person = world.person(application.tenant)

    for seed in ("MZXW6YTBOI", "A" * 24, "A" * 27, "0" * 32, "a" * 32):
        body = {"subject": person.name, "factor": "hotp", "seed": seed}
        answer = await world.ask(application, "POST", "/v1/enrollments", body)
        assert answer.status_code == 422, seed
        assert seed not in answer.text


@pytest.mark.requirement("C3")
async def test_a_pin_is_kept_as_a_hash_only(world: World) -> None:
    application = await world.application(factors=(Factor.PIN,))
    about = await enroll(world, application, world.person(application.tenant), Factor.PIN)

    credential = await world.claim(about, uuid4())

    assert isinstance(credential, Credential)
    kept = b64decode(credential.secret)
    assert kept.startswith(b"$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_secret(kept, PIN.encode(), Type.ID)
    assert (credential.digits, credential.last_step) == (6, -1)


@pytest.mark.requirement("C3")
@pytest.mark.parametrize("pin", ["123456", "121212", "654321", "111111", "20011224", "147258"])
async def test_a_pin_that_is_guessed_first_is_refused(world: World, pin: str) -> None:
    application = await world.application(factors=(Factor.PIN,))
    person = world.person(application.tenant)
    body = {"subject": person.name, "factor": "pin", "pin": pin}

    answer = await world.ask(application, "POST", "/v1/enrollments", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "weak_pin")
    assert pin not in answer.text
    assert await world.event_types(person) == []


@pytest.mark.requirement("C3")
async def test_a_new_pin_takes_the_place_of_the_old_one(world: World) -> None:
    application = await world.application(factors=(Factor.PIN,))
    person = world.person(application.tenant)
    old = await enroll(world, application, person, Factor.PIN)
    begun = await begin(world, application, person, Factor.PIN, pin="739418")
    unconfirmed = list(world.neighbours.revoked_ids())

    mistyped = await confirm(world, application, begun, PIN)
    confirmed = await confirm(world, application, begun, "739418")

    assert unconfirmed == []
    assert mistyped.status_code == 403
    assert confirmed.status_code == 200, confirmed.text
    assert confirmed.json()["replaced"] == "effective"
    assert world.neighbours.revoked_ids() == [old.authenticator_id]
    path = f"/v1/authenticators/{old.authenticator_id}"
    assert (await world.ask(application, "GET", path)).json()["status"] == "removed"


async def test_a_pin_that_may_still_be_accepted_is_told_of(world: World) -> None:
    application = await world.application(factors=(Factor.PIN,))
    person = world.person(application.tenant)
    first = await begin(world, application, person, Factor.PIN)
    alone = await confirm(world, application, first)
    world.held[person.name] = alone.json()["authenticator_id"]
    begun = await begin(world, application, person, Factor.PIN, pin="739418")
    world.neighbours.verification_down = True

    confirmed = await confirm(world, application, begun, "739418")

    assert alone.json()["replaced"] is None
    assert (confirmed.status_code, confirmed.json()["replaced"]) == (200, "pending")


async def test_ten_codes_are_shown_and_the_one_that_confirms_is_spent(world: World) -> None:
    application = await world.application(factors=(Factor.RECOVERY_CODE,))
    person = world.person(application.tenant)
    begun = await begin(world, application, person, Factor.RECOVERY_CODE)
    shown = begun.shown["codes"]
    assert isinstance(shown, list)
    assert len({code[:2] for code in shown}) == len(shown) == 10

    confirmed = await confirm(world, application, begun, shown[3])
    world.held[person.name] = confirmed.json()["authenticator_id"]
    again = await enroll(world, application, person, Factor.RECOVERY_CODE)
    credential = await world.claim(again, uuid4())

    assert isinstance(credential, Credential)
    assert len(credential.codes) == 9
    assert set(credential.codes).isdisjoint(shown)
    assert world.neighbours.revoked_ids() == [confirmed.json()["authenticator_id"]]


@pytest.mark.requirement("B5")
async def test_a_second_method_is_advised_and_can_follow_at_once(world: World) -> None:
    application = await world.application(factors=(Factor.TOTP, Factor.RECOVERY_CODE))
    person = world.person(application.tenant)
    first = await begin(world, application, person, Factor.TOTP)
    confirmed = (await confirm(world, application, first)).json()
    wish = {"subject": person.name, "factor": "recovery_code"}

    started = await world.ask(
        application, "POST", "/v1/enrollments", wish, receipt=confirmed["presence"]
    )
    body = {"code": started.json()["codes"][0]}
    path = f"/v1/enrollments/{started.json()['enrollment_id']}/confirmation"
    second = await world.ask(application, "POST", path, body)

    assert confirmed["second_method_advised"] is True
    assert second.json()["second_method_advised"] is False


async def test_what_belongs_to_another_factor_is_refused(world: World) -> None:
    application = await world.application(factors=ALL)
    person = world.person(application.tenant)

    for wish in (
        {"factor": "totp", "pin": PIN},
        {"factor": "pin"},
        {"factor": "pin", "pin": PIN, "number": "+31612345678"},
        {"factor": "sms"},
        {"factor": "hotp"},
        {"factor": "push"},
        {"factor": "recovery_key"},
        {},
    ):
        body = {"subject": person.name, **wish}
        answer = await world.ask(application, "POST", "/v1/enrollments", body)
        assert answer.status_code == 422, wish

    assert await world.event_types(person) == []


def _other(code: str) -> str:
    """Return a code that is far from this one and from those near it."""
    return code.translate(str.maketrans("0123456789", "5678901234"))
