"""Nothing that names a person outlives the person's deletion."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from contracts.envelope import person_key
from contracts.topics import SUBJECTS
from libs.postgres.pool import tenant_transaction
from services.policy.app import directory_of
from services.policy.store.directory import bury_subjects, finish_erasing
from services.policy.use_cases.personal import PersonalSeals
from tests.fixtures.services import TestClock
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.importing import Sender, importing, json_lines, work
from tests.integration.policy.surveying import person

pytestmark = [pytest.mark.security("S14"), pytest.mark.requirement("C4")]


async def _places(bench: Bench, needles: Sequence[bytes]) -> list[str]:
    """Return the tables in which one of these stands, in clear or as bytes."""
    tables = await bench.owner.fetch(
        "SELECT c.relname AS name FROM pg_class c WHERE c.relkind IN ('r', 'p')"
        " AND c.relnamespace = 'policy'::regnamespace"
    )
    found = []
    for table in sorted(row["name"] for row in tables):
        for row in await bench.owner.fetch(f"SELECT t::text AS line FROM {table} t"):
            line = row["line"]
            if any(n.hex() in line or n.decode("latin-1") in line for n in needles):
                found.append(table)
                break
    return found


async def _needles(bench: Bench, tenant: Tenant, person: dict[str, str]) -> list[bytes]:
    keys = await PersonalSeals(bench.plumbing.data_keys).keys(tenant.tenant_id)
    digests = [
        keys.subject_digest(person["subject"]),
        keys.label_digest(person["label"]),
        keys.email_digest(person["email"]),
    ]
    return [value.encode() for value in person.values()] + digests


def _person() -> dict[str, str]:
    word = f"canary{uuid4().hex}"
    return {"subject": f"{word}s", "email": f"{word}@example.org", "label": f"{word} l"}


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_erased_person_is_in_no_table(bench: Bench, tenant: Tenant, dry_run: bool) -> None:
    sender, person = Sender(bench, tenant), _person()
    refused = [person | {"language": "xx"}, person | {"email": person["email"] + " "}]
    await sender.done(json_lines([person, *refused, {"subject": "bob"}]), kind="jsonl")
    await sender.done(json_lines([person, person]), kind="jsonl", dry_run=dry_run)
    needles = await _needles(bench, tenant, person)
    # The search finds what is there: the digests, and nothing in clear.
    assert await _places(bench, needles) == ["subject"]
    assert await _places(bench, [n for n in needles if n.startswith(b"canary")]) == []
    [ref] = [s["subject_ref"] for s in await sender.subjects() if s["subject"] != "bob"]

    await tenant.api("DELETE", f"/v1/subjects/{ref}")

    assert await _places(bench, needles) == []


async def test_a_person_erased_during_an_import_is_forgotten_when_it_ends(
    bench: Bench, tenant: Tenant
) -> None:
    sender, person = Sender(bench, tenant), _person()
    needles = await _needles(bench, tenant, person)
    await sender.done(json_lines([person]), kind="jsonl")
    [there] = await sender.subjects()
    import_id = await sender.sent(
        json_lines([{"subject": "bob"}, {"subject": "carl"}, person]), kind="jsonl"
    )
    await importing(bench, rows_at_once=1).round()

    await tenant.api("DELETE", f"/v1/subjects/{there['subject_ref']}")
    assert set(await _places(bench, needles)) <= {"import_mark"}
    await work(bench, rows_at_once=1)

    assert [row["outcome"] for row in await sender.rows(import_id)] == [
        *("created", "created", "refused")
    ]
    assert (await sender.rows(import_id))[2]["errors"] == [
        "subject: was deleted after this import began"
    ]
    assert await _places(bench, needles) == []


async def test_what_waits_in_an_import_is_sealed_and_gone_as_soon_as_it_is_done(
    bench: Bench, tenant: Tenant
) -> None:
    sender, person = Sender(bench, tenant), _person()
    needles = await _needles(bench, tenant, person)
    import_id = await sender.sent(
        json_lines([{"subject": "a"}, {"subject": "b"}]), json_lines([person]), kind="jsonl"
    )
    count = "SELECT count(*) FROM import_part WHERE import_id = $1"
    waiting = await bench.owner.fetchval(count, UUID(import_id))
    assert await _places(bench, needles) == []

    await importing(bench, rows_at_once=2).round()
    half = await bench.owner.fetchval(count, UUID(import_id))
    await work(bench)

    assert (waiting, half, await bench.owner.fetchval(count, UUID(import_id))) == (2, 1, 0)
    marks = "SELECT count(*) FROM import_mark WHERE import_id = $1"
    assert await bench.owner.fetchval(marks, UUID(import_id)) == 0


async def test_a_cancelled_import_leaves_no_marks(bench: Bench, tenant: Tenant) -> None:
    sender, person = Sender(bench, tenant), _person()
    needles = await _needles(bench, tenant, person)
    import_id = await sender.sent(
        json_lines([person | {"email": "wrong"}, person, {"subject": "b"}]), kind="jsonl"
    )
    await importing(bench, rows_at_once=2).round()
    await tenant.api("DELETE", f"/v1/imports/{import_id}")
    [there] = await sender.subjects()
    await tenant.api("DELETE", f"/v1/subjects/{there['subject_ref']}")

    await directory_of(bench.plumbing).forget_imports()

    assert await _places(bench, needles) == []


async def test_an_import_that_nobody_goes_on_with_is_cancelled_after_a_day(
    bench: Bench, tenant: Tenant
) -> None:
    clock, sender = TestClock(), Sender(bench, tenant)
    import_id = await sender.begin()
    await sender.put(import_id, 1, "subject\na\n")
    house = directory_of(bench.at(clock).plumbing)

    states = []
    for hours in (23, 2):
        clock.forward(timedelta(hours=hours))
        await house.forget_imports()
        states.append((await sender.shown(import_id))["state"])

    assert states == ["receiving", "cancelled"]
    parts = "SELECT count(*) FROM import_part WHERE import_id = $1"
    assert await bench.owner.fetchval(parts, UUID(import_id)) == 0


async def test_an_import_and_its_report_are_forgotten_after_thirty_days(
    bench: Bench, tenant: Tenant
) -> None:
    clock, sender = TestClock(), Sender(bench, tenant)
    import_id = await sender.done("subject\na\n")
    house = directory_of(bench.at(clock).plumbing)

    clock.forward(timedelta(days=29, hours=23))
    await house.forget_imports()
    assert (await sender.shown(import_id))["state"] == "finished"
    clock.forward(timedelta(hours=2))
    await house.forget_imports()

    for path in (f"/v1/imports/{import_id}", f"/v1/imports/{import_id}/rows"):
        assert (await tenant.api("GET", path)).status_code == 404
    rows = "SELECT count(*) FROM import_row WHERE import_id = $1"
    assert await bench.owner.fetchval(rows, UUID(import_id)) == 0


async def test_kafka_is_told_to_forget_thirty_days_after_the_deletion(
    bench: Bench, tenant: Tenant
) -> None:
    clock = TestClock()
    made = (await tenant.api("POST", "/v1/subjects", {"subject": "anna"})).json()
    await tenant.api("POST", "/v1/subjects", {"subject": "bob"})
    await tenant.api("DELETE", f"/v1/subjects/{made['subject_ref']}")
    house = directory_of(bench.at(clock).plumbing)

    clock.forward(timedelta(days=29, hours=23))
    await house.bury()
    early = await _tombstones(bench, tenant)
    clock.forward(timedelta(hours=2))
    await house.bury()
    await house.bury()

    key = person_key(tenant.tenant_id, UUID(made["subject_ref"]))
    assert early == []
    # Behind the state that says `deleted`, and once.
    assert await _tombstones(bench, tenant) == [(key, 3)]


async def test_who_was_erased_by_an_earlier_release_is_finished_and_buried(
    bench: Bench, tenant: Tenant
) -> None:
    clock, person = TestClock(), _person()
    needles = await _needles(bench, tenant, person)
    made = (await tenant.api("POST", "/v1/subjects", person)).json()
    digest = await bench.owner.fetchval(
        "SELECT email_digest FROM subject WHERE subject_ref = $1", made["subject_ref"]
    )
    await tenant.api("DELETE", f"/v1/subjects/{made['subject_ref']}")
    await bench.owner.execute(
        "UPDATE subject SET email_digest = $2, digested = 1, deleted_at = NULL"
        " WHERE subject_ref = $1",
        *(made["subject_ref"], digest),
    )
    house = directory_of(bench.at(clock).plumbing)

    await house.digest()
    assert await _places(bench, needles) == []
    clock.forward(timedelta(days=30, hours=1))
    await house.bury()

    assert len(await _tombstones(bench, tenant)) == 1


async def test_what_was_counted_in_the_moment_of_a_deletion_is_forgotten_with_the_state(
    bench: Bench, tenant: Tenant
) -> None:
    clock, subject = TestClock(), await person(tenant)
    await tenant.api("DELETE", f"/v1/subjects/{subject}")
    await bench.owner.execute(
        "INSERT INTO login_day VALUES ($1, $2, $3, $4, 'totp', 1)",
        *(tenant.tenant_id, subject, tenant.application_id, clock().date()),
    )
    clock.forward(timedelta(days=30, hours=1))

    await directory_of(bench.at(clock).plumbing).bury()

    count = "SELECT count(*) FROM login_day WHERE subject_ref = $1"
    assert await bench.owner.fetchval(count, subject) == 0


async def test_a_tenant_whose_subjects_are_locked_keeps_nobody_from_being_forgotten(
    bench: Bench, tenant: Tenant
) -> None:
    other, clock = Sender(bench, await bench.new_tenant()), TestClock()
    left = await other.begin()
    await person(tenant)
    await bench.owner.execute(
        "UPDATE subject SET digested = 0 WHERE tenant_id = $1", tenant.tenant_id
    )
    clock.forward(timedelta(hours=25))

    async with bench.owner.acquire() as connection, connection.transaction():
        await connection.execute(
            "SELECT FROM subject WHERE tenant_id = $1 FOR UPDATE", tenant.tenant_id
        )
        with pytest.raises(TimeoutError):
            await directory_of(bench.at(clock).plumbing).look()

    assert (await other.shown(left))["state"] == "cancelled"


async def test_who_was_erased_is_finished_and_buried_some_at_a_time(
    bench: Bench, tenant: Tenant
) -> None:
    for _ in range(3):
        await tenant.api("DELETE", f"/v1/subjects/{await person(tenant)}")
    await bench.owner.execute(
        "UPDATE subject SET digested = 0, deleted_at = NULL WHERE tenant_id = $1",
        tenant.tenant_id,
    )

    done = []
    for _ in range(3):
        async with tenant_transaction(bench.plumbing.app_pool, tenant.tenant_id) as tx:
            done.append(
                await finish_erasing(tx, tenant.tenant_id, now=bench.plumbing.clock(), limit=2)
            )

    assert done == [2, 1, 0]
    clock = TestClock()
    async with tenant_transaction(bench.plumbing.app_pool, tenant.tenant_id) as tx:
        clock.forward(timedelta(hours=1))
        buried = await bury_subjects(tx, tenant.tenant_id, erased_before=clock(), limit=2)
    assert len(buried) == 2


@pytest.mark.parametrize("sealed", [b"x", b"\x01" + bytes(40)])
async def test_a_subject_that_cannot_be_opened_keeps_no_other_one_from_being_found(
    bench: Bench, tenant: Tenant, sealed: bytes
) -> None:
    broken, whole = await person(tenant), await person(tenant, email="anna@example.org")
    await bench.owner.execute(
        "UPDATE subject SET digested = 0, email_digest = NULL WHERE tenant_id = $1",
        tenant.tenant_id,
    )
    await bench.owner.execute(
        "UPDATE subject SET sealed = $2 WHERE subject_ref = $1", *(broken, sealed)
    )

    await directory_of(bench.plumbing).digest()

    found = await tenant.api("POST", "/v1/subjects/logins", {"email": "anna@example.org"})
    assert [one["subject_ref"] for one in found.json()["logins"]] == [str(whole)]
    assert found.json()["complete"] is True


async def _tombstones(bench: Bench, tenant: Tenant) -> list[tuple[str, int]]:
    rows = await bench.owner.fetch(
        "SELECT aggregateid, sequence FROM outbox WHERE tenant_id = $1"
        " AND aggregatetype = $2 AND payload IS NULL",
        *(tenant.tenant_id, SUBJECTS.name),
    )
    return [(row["aggregateid"], row["sequence"]) for row in rows]
