"""Tokens in stock; and who may import, and sees what."""

from uuid import uuid4

import pytest

from contracts.roles import Role
from contracts.vocabulary import Scope
from tests.integration.enrollment.importing import (
    Sender,
    hotp,
    json_lines,
    new_manager,
    totp,
)
from tests.integration.enrollment.world import World


@pytest.fixture
async def sender(world: World) -> Sender:
    return await new_manager(world)


async def test_a_row_without_a_subject_goes_into_the_stock(sender: Sender) -> None:
    import_id = await sender.done(hotp(serial="B2"), totp(serial="A1", period=60), totp())

    assert await sender.outcomes(import_id) == [
        ("stocked", []),
        ("stocked", []),
        ("refused", ["serial: needed where there is no subject"]),
    ]
    first, second = await sender.tokens()
    assert (first["serial"], first["factor"], first["period"]) == ("A1", "totp", 60)
    assert (second["serial"], second["status"], second["authenticator_id"]) == (
        *("B2", "in_stock", None),
    )
    found = await sender.ask("POST", "/v1/hardware-tokens/search", {"serial": "B2"})
    assert found.json() == {"hardware_tokens": [second], "next_after": None}
    assert "secret" not in found.text


async def test_pages_of_tokens(sender: Sender) -> None:
    anna = sender.person()
    await sender.done(
        *(totp(serial=f"T{n}") for n in range(3)), hotp(serial="X", subject=anna.name)
    )

    page = await sender.ask("GET", "/v1/hardware-tokens?limit=2")
    rest = await sender.ask("GET", "/v1/hardware-tokens?limit=2&after=T1")

    assert [one["serial"] for one in page.json()["hardware_tokens"]] == ["T0", "T1"]
    assert (page.json()["next_after"], rest.json()["next_after"]) == ("T1", None)
    assert [one["serial"] for one in rest.json()["hardware_tokens"]] == ["T2", "X"]
    assert [one["serial"] for one in await sender.tokens("?status=assigned")] == ["X"]


async def test_a_token_in_stock_can_be_deleted_and_imported_again(sender: Sender) -> None:
    anna, row = sender.person(), totp(serial="T1")
    await sender.done(row, totp(serial="T2", subject=anna.name))
    stocked, assigned = await sender.tokens()
    path = "/v1/hardware-tokens"

    deleted = await sender.ask("DELETE", f"{path}/{stocked['hardware_token_id']}")
    again = await sender.ask("DELETE", f"{path}/{stocked['hardware_token_id']}")
    refused = await sender.ask("DELETE", f"{path}/{assigned['hardware_token_id']}")

    assert (deleted.status_code, again.status_code) == (204, 404)
    assert (refused.status_code, refused.json()["code"]) == (409, "token_assigned")
    assert await sender.outcomes(await sender.done(row)) == [("stocked", [])]


@pytest.mark.security("S6")
async def test_another_tenant_finds_and_disturbs_nothing(world: World, sender: Sender) -> None:
    other = await new_manager(world)
    row = totp(serial="T1")
    import_id = await sender.done(row)
    [token] = await sender.tokens()

    answers = [
        await other.ask("GET", f"{other.path}/{import_id}"),
        await other.ask("GET", f"{other.path}/{import_id}/rows"),
        await other.ask("POST", f"{other.path}/{import_id}/start"),
        await other.ask("DELETE", f"{other.path}/{import_id}"),
        await other.put(import_id, 1, json_lines(row)),
        await other.ask("DELETE", f"/v1/hardware-tokens/{token['hardware_token_id']}"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert await other.tokens() == []
    # Nor does it hear that somebody else has the same secret or serial.
    assert await other.outcomes(await other.done(row)) == [("stocked", [])]
    theirs = sender.person()
    stranger = await other.done(totp(subject=theirs.name))
    assert await other.outcomes(stranger) == [("refused", ["subject: there is no such subject"])]


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.APPLICATION, (Scope.ENROLL, Scope.VERIFY)),
        (Role.SERVICE_DESK, ()),
        (Role.AUDITOR, ()),
    ],
)
async def test_only_those_who_manage_may(
    world: World, sender: Sender, role: Role, scopes: tuple[Scope, ...]
) -> None:
    import_id = await sender.begin()
    caller = await world.application(tenant=sender.tenant, scopes=scopes, role=role)
    about = f"{sender.path}/{import_id}"
    calls = [
        *(("POST", sender.path), ("GET", about), ("GET", f"{about}/rows"), ("DELETE", about)),
        *(("PUT", f"{about}/parts/1"), ("POST", f"{about}/start"), ("GET", "/v1/hardware-tokens")),
        ("POST", "/v1/hardware-tokens/search"),
        ("DELETE", f"/v1/hardware-tokens/{uuid4()}"),
    ]

    answers = [await world.ask(caller, method, path, {}) for method, path in calls]

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(403, "missing_scope")}
