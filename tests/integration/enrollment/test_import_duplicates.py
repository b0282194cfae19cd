"""What came before, in the same file or another one, in earnest or in a dry run."""

from uuid import uuid4

import pytest

from tests.integration.enrollment.importing import (
    Body,
    Sender,
    hotp,
    new_manager,
    totp,
)
from tests.integration.enrollment.world import World


@pytest.fixture
async def sender(world: World) -> Sender:
    return await new_manager(world)


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
        ("refused", ["subject: has 5 authenticators with codes already"]),
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

    assert before == [0] * 5
    assert await sender.outcomes(dry) == await sender.outcomes(earnest)
    assert [one for one, _ in await sender.outcomes(dry)] == [
        *("stocked", "unchanged", "refused", "refused", "enrolled", "refused", "refused")
    ]
    assert all(row["authenticator_id"] is None for row in await sender.rows(dry))
