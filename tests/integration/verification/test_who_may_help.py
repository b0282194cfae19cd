"""What keys of people may do here: help somebody, or see why a rule decides."""

from uuid import uuid4

import httpx2
import pytest

from contracts.roles import Role
from contracts.vocabulary import Scope
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.remembering import REMEMBER, ask, delete, is_known, search
from tests.integration.verification.test_rules import asked, rule

_VERIFY, _MANAGE = (Scope.VERIFY,), (Scope.MANAGE,)


async def unlock(world: World, application: Application, name: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {application.key}"}
    return await world.public.post("/v1/unlocks", json={"subject": name}, headers=headers)


@pytest.mark.parametrize(
    ("role", "scopes", "unlocks", "lists"),
    [
        (Role.SERVICE_DESK, (), 204, 200),
        (Role.ADMINISTRATOR, _MANAGE, 204, 200),
        (Role.OWNER, _MANAGE, 204, 200),
        (Role.APPLICATION, _MANAGE, 204, 200),
        (Role.AUDITOR, (), 403, 403),
        (Role.APPLICATION, _VERIFY, 403, 200),
        (Role.APPLICATION, (Scope.ENROLL, Scope.VERIFY_REASONS), 403, 403),
    ],
)
async def test_who_may_unlock_and_see_devices(
    world: World, role: Role, scopes: tuple[Scope, ...], unlocks: int, lists: int
) -> None:
    key = await world.application(role=role, scopes=scopes)
    person = await world.person(key.tenant)
    headers = {"Authorization": f"Bearer {key.key}"}

    unlocked = await unlock(world, key, person.name)
    listed = await world.public.post(
        "/v1/devices/search", json={"subject": person.name}, headers=headers
    )
    forgotten = await world.public.delete(f"/v1/devices/{uuid4()}", headers=headers)

    assert (unlocked.status_code, listed.status_code) == (unlocks, lists)
    assert forgotten.status_code == (404 if lists == 200 else 403)
    if unlocks == 403:
        assert (unlocked.json()["code"], unlocked.json()["detail"]) == ("missing_scope", "support")


async def _remembered_twice(world: World) -> tuple[Application, Application, Person, str]:
    tenant = uuid4()
    one, other = [await world.application(tenant=tenant) for _ in range(2)]
    person = await world.person(tenant)
    token = (await ask(world, one, person, more=REMEMBER)).json()["device"]["token"]
    code = world.code(person, steps=1)
    assert (await ask(world, other, person, code=code, more=REMEMBER)).status_code == 200
    return one, other, person, token


async def test_the_service_desk_sees_and_forgets_devices_of_all_applications(
    world: World,
) -> None:
    one, other, person, token = await _remembered_twice(world)
    desk = await world.application(tenant=person.tenant, role=Role.SERVICE_DESK, scopes=())

    found = await search(world, desk, person)
    mine = next(item for item in found if item["application"] == str(one.application_id))
    status = await delete(world, desk, mine["id"])

    assert {item["application"] for item in found} == {
        str(one.application_id),
        str(other.application_id),
    }
    assert status == 204
    assert not await is_known(world, one, person, token)
    assert len(await search(world, desk, person)) == 1


async def test_a_plain_key_sees_and_forgets_its_own_devices_only(world: World) -> None:
    one, other, person, token = await _remembered_twice(world)

    [theirs] = await search(world, other, person)
    [own] = await search(world, one, person)

    assert await delete(world, one, theirs["id"]) == 404
    assert own["application"] == str(one.application_id)
    assert await is_known(world, one, person, token)


async def test_the_service_desk_of_another_tenant_sees_nothing(world: World) -> None:
    one, _, person, _ = await _remembered_twice(world)
    desk = await world.application(role=Role.SERVICE_DESK, scopes=())
    [own] = await search(world, one, person)

    assert await search(world, desk, person) == []
    assert await delete(world, desk, own["id"]) == 404


@pytest.mark.parametrize(
    ("role", "scopes", "status"),
    [
        (Role.APPLICATION, (Scope.VERIFY, Scope.VERIFY_REASONS), 200),
        (Role.APPLICATION, (Scope.VERIFY, Scope.MANAGE), 200),
        (Role.AUDITOR, (Scope.VERIFY,), 200),
        (Role.SERVICE_DESK, (Scope.VERIFY,), 403),
        (Role.APPLICATION, (Scope.VERIFY,), 403),
    ],
)
async def test_who_may_hear_why_a_rule_decides(
    world: World, role: Role, scopes: tuple[Scope, ...], status: int
) -> None:
    application = await world.application(rules=(rule("all"),), role=role, scopes=scopes)

    answer = await asked(world, application, "nobody@example.org", explain=True)

    assert answer.status_code == status
    assert (await asked(world, application, "nobody@example.org")).status_code == 200
