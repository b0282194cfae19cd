"""A token in stock becomes the authenticator of whoever proves to have it."""

import asyncio
from uuid import uuid4

import httpx2
import pyotp
import pytest

from contracts.internal import Credential
from contracts.vocabulary import Factor, Scope
from tests.integration.enrollment.importing import Sender, hotp, new_manager, totp
from tests.integration.enrollment.things import Application, Enrolled, Person
from tests.integration.enrollment.world import World


@pytest.fixture
async def sender(world: World) -> Sender:
    return await new_manager(world)


async def login(world: World, sender: Sender) -> Application:
    factors = (Factor.HOTP, Factor.TOTP)
    scopes = (Scope.ENROLL,)
    return await world.application(tenant=sender.tenant, factors=factors, scopes=scopes)


async def begin(
    world: World, application: Application, person: Person, serial: str, factor: str = "hotp"
) -> httpx2.Response:
    wish = {"subject": person.name, "factor": factor, "serial": serial}
    return await world.ask(application, "POST", "/v1/enrollments", wish)


async def confirm(
    world: World, application: Application, begun: httpx2.Response, code: str
) -> httpx2.Response:
    path = f"/v1/enrollments/{begun.json()['enrollment_id']}/confirmation"
    return await world.ask(application, "POST", path, {"code": code})


@pytest.mark.requirement("A4")
async def test_a_token_is_given_to_whoever_shows_its_code(world: World, sender: Sender) -> None:
    row = hotp(serial="H1")
    await sender.done(row)
    application, person = await login(world, sender), sender.person()
    token = pyotp.HOTP(str(row["secret"]))

    begun = await begin(world, application, person, "H1")
    waiting = await sender.tokens()
    done = await confirm(world, application, begun, token.at(7))
    became = done.json()["authenticator_id"]
    given = await sender.tokens()
    about = Enrolled(person, became, "", secret="", step=7)
    credential = await world.claim(about, uuid4())

    assert begun.status_code == 201, begun.text
    assert "otpauth_uri" not in begun.json(), "a token's secret is shown to nobody"
    assert [one["status"] for one in waiting] == ["in_stock"]
    assert [(one["status"], one["authenticator_id"]) for one in given] == [("assigned", became)]
    assert isinstance(credential, Credential)
    assert (credential.factor, credential.last_step) == ("hotp", 7)
    [kept] = await world.rows(
        "SELECT sealed FROM hardware_token WHERE tenant_id = $1", sender.tenant
    )
    assert kept["sealed"] is None, "verification has the only copy"


async def test_a_totp_token_too(world: World, sender: Sender) -> None:
    row = totp(serial="T1")
    await sender.done(row)
    application, person = await login(world, sender), sender.person()

    begun = await begin(world, application, person, "T1", "totp")
    code = pyotp.TOTP(str(row["secret"])).at(world.clock())
    done = await confirm(world, application, begun, code)

    assert "key" not in begun.json()
    assert done.status_code == 200, done.text


async def test_two_people_try_one_token_and_one_has_it(world: World, sender: Sender) -> None:
    row = hotp(serial="H1")
    await sender.done(row)
    application, people = await login(world, sender), [sender.person() for _ in range(2)]
    token = pyotp.HOTP(str(row["secret"]))
    begun = [await begin(world, application, person, "H1") for person in people]

    done = await asyncio.gather(*(confirm(world, application, one, token.at(6)) for one in begun))
    late = await begin(world, application, sender.person(), "H1")

    assert sorted(answer.status_code for answer in done) == [200, 409]
    assert (late.status_code, late.json()["code"]) == (409, "token_assigned")


async def test_what_is_not_in_this_tenants_stock_is_unknown(world: World, sender: Sender) -> None:
    await sender.done(hotp(serial="H1"))
    application, person = await login(world, sender), sender.person()
    elsewhere = await world.application(factors=(Factor.HOTP,))
    stranger = world.person(elsewhere.tenant)

    for answer in (
        await begin(world, application, person, "H2"),
        await begin(world, application, person, "H1", "totp"),
        await begin(world, elsewhere, stranger, "H1"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "token_unknown")


@pytest.mark.security("S1")
async def test_a_token_that_was_given_back_comes_again_by_an_act_of_its_own_only(
    world: World, sender: Sender
) -> None:
    row = hotp(serial="H1")
    await sender.done(row)
    application, person = await login(world, sender), sender.person()
    token = pyotp.HOTP(str(row["secret"]))
    begun = await begin(world, application, person, "H1")
    await confirm(world, application, begun, token.at(5))
    [given] = await sender.tokens()
    path = f"/v1/hardware-tokens/{given['hardware_token_id']}"
    in_use = await sender.ask("DELETE", path)

    await world.reset(person, uuid4())
    last_year = await sender.outcomes(await sender.done(row))
    forgotten = await sender.ask("DELETE", path)
    again = await sender.outcomes(await sender.done(row | {"counter": 6}))

    assert in_use.status_code == 409
    assert last_year == [("unchanged", [])]
    assert forgotten.status_code == 204
    assert again == [("stocked", [])]


@pytest.mark.security("S1")
async def test_a_seed_is_somebodys_once(world: World, sender: Sender) -> None:
    application, people = await login(world, sender), [sender.person() for _ in range(2)]
    row = hotp()
    seed, token = str(row["secret"]), pyotp.HOTP(str(row["secret"]))
    wishes = [{"subject": one.name, "factor": "hotp", "seed": seed, "counter": 0} for one in people]
    begun = [await world.ask(application, "POST", "/v1/enrollments", wish) for wish in wishes]

    both = await asyncio.gather(*(confirm(world, application, one, token.at(3)) for one in begun))
    await world.reset(people[0], uuid4())
    await world.reset(people[1], uuid4())
    once_more = await world.ask(application, "POST", "/v1/enrollments", wishes[0])
    late = await confirm(world, application, once_more, token.at(3))
    by_file = await sender.outcomes(await sender.done(row | {"serial": "H9"}))

    assert sorted(answer.status_code for answer in both) == [200, 409]
    assert (late.status_code, late.json()["code"]) == (409, "already_enrolled")
    assert by_file == [("refused", ["secret: was enrolled and removed: enroll anew"])]


@pytest.mark.parametrize(
    "more",
    [
        {"seed": "A" * 32},
        {"counter": 5},
        {"digits": 8},
        {"serial": None},
        {"serial": ""},
        {"serial": "with space"},
    ],
)
async def test_a_serial_says_all(world: World, sender: Sender, more: dict[str, object]) -> None:
    application, person = await login(world, sender), sender.person()
    wish = {"subject": person.name, "factor": "hotp", "serial": "H1", **more}

    answer = await world.ask(application, "POST", "/v1/enrollments", wish)

    assert answer.status_code == 422
