"""An enrollment goes on on another device: by a link or a code, once, for ten minutes."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from contracts.vocabulary import Factor
from tests.integration.enrollment.starting import Begun, begin, confirm
from tests.integration.enrollment.things import Application
from tests.integration.enrollment.world import World


async def begun(world: World) -> tuple[Application, Begun]:
    application = await world.application(factors=(Factor.TOTP, Factor.RECOVERY_CODE))
    person = world.person(application.tenant)
    return application, await begin(world, application, person, Factor.TOTP)


async def hand_out(world: World, application: Application, about: Begun) -> dict[str, str]:
    answer = await world.ask(application, "POST", f"{about.path}/handover")
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


async def go_on(world: World, application: Application, **body: object) -> httpx2.Response:
    return await world.ask(application, "POST", "/v1/enrollments/continuation", body)


def other(code: str) -> str:
    return code[:-1] + ("2" if code[-1] != "2" else "3")


async def test_the_phone_shows_what_the_first_screen_showed(world: World) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)

    answer = await go_on(world, application, link_token=out["link_token"])

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert {name: shown[name] for name in ("otpauth_uri", "key", "enrollment_id")} == {
        name: about.shown[name] for name in ("otpauth_uri", "key", "enrollment_id")
    }
    assert answer.headers["cache-control"] == "no-store"
    assert parse_qs(urlsplit(shown["otpauth_uri"]).query)["issuer"] == ["Acme HR"]
    assert (await confirm(world, application, about)).status_code == 200


async def test_a_code_needs_the_name_too(world: World) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)
    somebody = world.person(application.tenant)

    others = await go_on(world, application, subject=somebody.name, code=out["code"])
    theirs = await go_on(world, application, subject=about.person.name, code=out["code"])

    assert others.status_code == 410
    assert theirs.status_code == 200
    assert theirs.json()["key"] == about.shown["key"]


async def test_either_is_good_once(world: World) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)
    name = about.person.name

    answers = await asyncio.gather(
        *(go_on(world, application, link_token=out["link_token"]) for _ in range(4)),
        *(go_on(world, application, subject=name, code=out["code"]) for _ in range(4)),
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [410] * 7


@pytest.mark.parametrize(("minutes", "status"), [(9, 200), (10, 410)])
async def test_it_ends_with_its_ten_minutes(world: World, minutes: int, status: int) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)

    world.clock.forward(timedelta(minutes=minutes))

    answer = await go_on(world, application, link_token=out["link_token"])
    assert answer.status_code == status


async def test_five_wrong_codes_are_the_end(world: World) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)
    name = about.person.name

    for _ in range(5):
        wrong = await go_on(world, application, subject=name, code=other(out["code"]))
        assert wrong.status_code == 410
    by_code = await go_on(world, application, subject=name, code=out["code"])
    by_link = await go_on(world, application, link_token=out["link_token"])

    assert by_code.status_code == 410
    assert by_link.status_code == 200, "whoever guesses codes takes nobody's link away"


async def test_asking_again_makes_the_first_void(world: World) -> None:
    application, about = await begun(world)
    first = await hand_out(world, application, about)
    second = await hand_out(world, application, about)

    assert (await go_on(world, application, link_token=first["link_token"])).status_code == 410
    assert (await go_on(world, application, link_token=second["link_token"])).status_code == 200


@pytest.mark.security("S6")
async def test_no_other_application_goes_on_with_it(world: World) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)
    same_tenant = await world.application(tenant=application.tenant)
    stranger = await world.application()

    for _ in range(5):
        name = about.person.name
        assert (await go_on(world, same_tenant, subject=name, code="0000-0000")).status_code == 410
    for caller in (same_tenant, stranger):
        assert (await go_on(world, caller, link_token=out["link_token"])).status_code == 410
        path = f"{about.path}/handover"
        assert (await world.ask(caller, "POST", path)).status_code == 404

    typed = await go_on(world, application, subject=about.person.name, code=out["code"])
    assert typed.status_code == 200


async def test_what_is_over_is_not_handed_over(world: World) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)
    await confirm(world, application, about)

    answer = await go_on(world, application, link_token=out["link_token"])
    again = await world.ask(application, "POST", f"{about.path}/handover")

    assert (answer.status_code, again.status_code) == (410, 410)


async def test_neither_is_kept_in_clear(world: World) -> None:
    application, about = await begun(world)
    out = await hand_out(world, application, about)

    kept = str(await world.rows("SELECT handover::text AS row FROM handover"))

    assert len(out["link_token"]) == 22
    assert out["link_token"] not in kept
    assert out["code"] not in kept
    assert out["code"].replace("-", "") not in kept


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"link_token": "short"},
        {"code": "ABCD-EFGH"},
        {"subject": "x@example.org"},
        {"subject": "x@example.org", "code": "abcd-efgh"},
        {"subject": "x@example.org", "code": "ABCDEFGH"},
        {"link_token": "A" * 22, "subject": "x@example.org", "code": "ABCD-EFGH"},
    ],
)
async def test_one_way_at_a_time(world: World, body: dict[str, object]) -> None:
    application = await world.application()

    assert (await go_on(world, application, **body)).status_code == 422
