"""Bulk imports of authenticators: what comes in, what becomes of it, and what is said of it."""

from base64 import b32decode, b64decode
from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.internal import Credential
from contracts.roles import Role
from contracts.vocabulary import Scope
from tests.integration.enrollment.importing import (
    Body,
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


async def test_importing_the_same_twice_changes_nothing(world: World, sender: Sender) -> None:
    anna = sender.person()
    rows = [totp(subject=anna.name), hotp(serial="H1"), totp(serial="T1", subject=anna.name)]
    await sender.done(*rows)

    again = await sender.done(*rows, *rows)

    assert await sender.outcomes(again) == [("unchanged", [])] * 6
    assert await world.event_types(anna) == ["enrolled"] * 2
    assert await sender.count("authenticator") == 2
    assert len(await sender.tokens()) == 2


async def test_what_is_not_quite_the_same_is_refused_with_the_reason(
    world: World, sender: Sender
) -> None:
    anna, bob = sender.person(), sender.person()
    stocked, theirs = hotp(serial="H1"), totp(subject=anna.name)
    await sender.done(stocked, theirs)
    fresh = totp(serial="T1")

    import_id = await sender.done(
        stocked | {"counter": 6},
        stocked | {"subject": bob.name},
        theirs | {"subject": bob.name},
        hotp(serial="H1"),
        fresh,
        fresh | {"digits": 8},
        totp(serial="T1"),
        fresh,
        totp(subject="nobody@example.org"),
    )

    assert await sender.outcomes(import_id) == [
        ("refused", ["secret: in stock already"]),
        ("refused", ["secret: in stock already"]),
        ("refused", ["secret: enrolled already"]),
        ("refused", ["serial: known already, with another secret"]),
        ("stocked", []),
        ("refused", ["secret: row 5 has the same one"]),
        ("refused", ["serial: row 5 has the same one"]),
        ("unchanged", []),
        ("refused", ["subject: there is no such subject"]),
    ]
    assert await world.events(bob) == []


async def test_what_was_removed_does_not_come_back_by_the_same_file(
    world: World, sender: Sender
) -> None:
    anna = sender.person()
    row = totp(subject=anna.name)
    await sender.done(row)
    await world.reset(anna, uuid4())

    again = await sender.done(row)

    assert await sender.outcomes(again) == [
        ("refused", ["secret: was enrolled and removed: enroll anew"])
    ]
    assert await world.event_types(anna) == ["enrolled", "authenticator_removed", "reset_applied"]


async def test_a_person_has_at_most_five(sender: Sender) -> None:
    anna = sender.person()
    await sender.done(*(totp(subject=anna.name) for _ in range(3)))
    rows = [totp(subject=anna.name) for _ in range(3)]

    dry = await sender.done(*rows, dry_run=True, rows_at_once=1)
    earnest = await sender.done(*rows, rows_at_once=1)

    expected: list[tuple[str, list[str]]] = [
        *(("enrolled", []), ("enrolled", [])),
        ("refused", ["subject: has 5 authenticators already"]),
    ]
    assert await sender.outcomes(dry) == expected
    assert await sender.outcomes(earnest) == expected


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    world: World, sender: Sender
) -> None:
    anna = sender.person()
    same = totp(serial="T1")
    rows: list[Body] = [
        *(same, same, same | {"digits": 8}, totp(serial="T1"), hotp(subject=anna.name, serial="H")),
        totp(subject="nobody"),
        {"refused": True},
    ]

    dry = await sender.done(*rows, dry_run=True, rows_at_once=1)
    before = [
        await sender.count(table)
        for table in ("authenticator", "hardware_token", "known_secret", "subject", "outbox")
    ]
    earnest = await sender.done(*rows, rows_at_once=2)

    assert before[:3] == [0, 0, 0]
    assert before[4] == 0
    assert await sender.outcomes(dry) == await sender.outcomes(earnest)
    assert [one for one, _ in await sender.outcomes(dry)] == [
        *("stocked", "unchanged", "refused", "refused", "enrolled", "refused", "refused")
    ]
    assert all(row["authenticator_id"] is None for row in await sender.rows(dry))


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
