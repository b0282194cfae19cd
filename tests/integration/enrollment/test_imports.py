"""Bulk imports of authenticators: what comes in, what becomes of it, and what is said of it."""

from base64 import b32decode, b64decode
from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.internal import Credential
from tests.integration.enrollment.importing import (
    Sender,
    hotp,
    importing,
    json_lines,
    new_manager,
    totp,
    work,
)
from tests.integration.enrollment.world import World


@pytest.fixture
async def sender(world: World) -> Sender:
    return await new_manager(world)


async def test_a_row_with_a_subject_becomes_an_authenticator_that_is_claimed(
    world: World, sender: Sender
) -> None:
    anna, bob = sender.person(), sender.person()
    first = totp(subject=anna.name, name="Old phone", digits=8, algorithm="SHA256", period=60)
    second = hotp(subject=bob.name, serial="H1")
    now = int(world.clock().timestamp()) // 60

    import_id = await sender.done(first, second)

    assert await sender.outcomes(import_id) == [("enrolled", [])] * 2
    annas, bobs = await sender.enrolled(anna), await sender.enrolled(bob)
    credential = await world.claim(annas, uuid4())
    assert isinstance(credential, Credential)
    assert b64decode(credential.secret) == b32decode(str(first["secret"]))
    assert (credential.algorithm, credential.digits, credential.period) == ("SHA256", 8, 60)
    assert credential.last_step in (now, now + 1), "codes of the old system are spent"
    counting = await world.claim(bobs, uuid4())
    assert isinstance(counting, Credential)
    assert (counting.factor, counting.period, counting.last_step) == ("hotp", None, 4)
    rows = await sender.rows(import_id)
    assert [row["authenticator_id"] for row in rows] == [
        *(annas.authenticator_id, bobs.authenticator_id)
    ]


async def test_what_was_imported_is_shown_and_removed_like_any_other(
    world: World, sender: Sender
) -> None:
    application = await world.application(tenant=sender.tenant)
    anna = sender.person()
    await sender.done(totp(subject=anna.name, name="Old phone"))

    body = {"subject": anna.name}
    found = await world.ask(application, "POST", "/v1/authenticators/search", body)

    [shown] = found.json()["authenticators"]
    assert (shown["name"], shown["factor"], shown["status"]) == ("Old phone", "totp", "active")
    path = f"/v1/authenticators/{shown['authenticator_id']}"
    assert (await world.ask(application, "DELETE", path)).json() == {"status": "effective"}


async def test_the_event_is_that_of_a_confirmed_enrollment(world: World, sender: Sender) -> None:
    anna = sender.person()

    import_id = await sender.done(totp(subject=anna.name))

    [(kind, data)] = await world.events(anna)
    assert kind == "mfa.enrolled"
    assert (data["enrollment_id"], data["epoch"], data["factor"]) == (import_id, 1, "totp")
    assert data["application_id"] == str(sender.manager.application_id)


async def test_the_end_is_announced_with_counts_only(sender: Sender) -> None:
    anna = sender.person()

    import_id = await sender.done(totp(subject=anna.name), totp(serial="T1"), {"refused": True})

    [event] = await sender.announced()
    assert event["type"] == "mfa.authenticators_imported"
    data = event["data"]
    assert (data["import_id"], data["complete"]) == (import_id, True)
    assert data["application_id"] == str(sender.manager.application_id)
    assert (data["enrolled"], data["stocked"], data["unchanged"], data["refused"]) == (1, 1, 0, 1)
    shown = await sender.shown(import_id)
    assert (shown["state"], shown["progress"]) == ("finished", 1.0)
    assert await sender.count("import_part") == 0
    assert await sender.count("import_mark") == 0


async def test_a_cancelled_import_keeps_what_is_done_and_erases_what_waits(
    world: World, sender: Sender
) -> None:
    import_id = await sender.sent(json_lines(*(totp(serial=f"T{n}") for n in range(4))))
    await importing(world, rows_at_once=3).round()
    half = await sender.shown(import_id)

    answer = await sender.ask("DELETE", f"{sender.path}/{import_id}")
    await work(world)

    assert half["progress"] == 0.75
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert len(await sender.tokens()) == 3
    assert await sender.count("import_part") == 0
    [event] = await sender.announced()
    assert (event["data"]["complete"], event["data"]["stocked"]) == (False, 3)
    again = await sender.start(import_id)
    assert (again.status_code, again.json()["code"]) == (409, "import_closed")


async def test_an_import_that_nobody_goes_on_with_is_ended_and_later_forgotten(
    world: World, sender: Sender
) -> None:
    import_id = await sender.begin()
    await sender.put(import_id, 1, json_lines(totp(serial="T1")))
    housekeeping = world.parts.imports.housekeeping

    world.clock.forward(timedelta(days=1))
    await housekeeping.look()
    ended = await sender.shown(import_id)
    parts = await sender.count("import_part")
    world.clock.forward(timedelta(days=30))
    await housekeeping.look()

    assert (ended["state"], parts) == ("cancelled", 0)
    gone = await sender.ask("GET", f"{sender.path}/{import_id}")
    assert gone.status_code == 404


async def test_the_same_rows_find_their_open_import_and_a_part_again_is_harmless(
    sender: Sender,
) -> None:
    digest, part = "a" * 64, json_lines(totp(serial="T1"))
    first = await sender.begin(digest=digest, rows=1)
    await sender.put(first, 1, part)

    again = await sender.begin(digest=digest, rows=1)
    repeated = await sender.put(first, 1, part)
    other = await sender.put(first, 1, json_lines(totp(serial="T1")))
    beyond = await sender.put(first, 3, part)

    assert again == first
    assert await sender.begin(digest=digest, dry_run=True) != first
    assert (repeated.status_code, repeated.json()["counts"]["received"]) == (200, 1)
    assert (other.status_code, other.json()["code"]) == (409, "other_part")
    assert (beyond.status_code, beyond.json()["code"]) == (409, "part_missing")


async def test_it_does_not_start_before_all_rows_came(sender: Sender) -> None:
    import_id = await sender.begin(rows=2)
    await sender.put(import_id, 1, json_lines(totp(serial="T1")))

    answer = await sender.start(import_id)

    assert (answer.status_code, answer.json()["code"]) == (409, "rows_missing")


async def test_a_tenant_has_ten_open_imports_at_most(sender: Sender) -> None:
    for _ in range(10):
        await sender.begin()

    answer = await sender.ask("POST", sender.path, {"dry_run": False})

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_imports")


@pytest.mark.parametrize("content", [b"\xff\n", b"x" * 5000 + b"\n"])
async def test_a_part_that_cannot_be_split_is_not_kept(sender: Sender, content: bytes) -> None:
    import_id = await sender.begin()

    answer = await sender.put(import_id, 1, content)

    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_part")
    assert (await sender.shown(import_id))["parts"] == 0
