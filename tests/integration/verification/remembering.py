"""Remembered devices as applications handle them."""

import json
from collections.abc import Mapping

import httpx2

from contracts.vocabulary import Requirement
from tests.integration.verification.conftest import SLOWLY, Application, Person, World

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
    headers |= {} if quickly else SLOWLY
    return await world.public.post("/v1/verify", json=body, headers=headers)


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
