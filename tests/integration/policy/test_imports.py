"""Bulk imports: what comes in, what becomes of it, and what is said of it."""

from collections import Counter
from uuid import UUID

import pytest

from contracts.envelope import application_key, data_of
from contracts.policy import SUBJECT_CHANGED, SUBJECT_STATE, SUBJECTS_IMPORTED, Change
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.importing import Sender, importing, json_lines, work

pytestmark = pytest.mark.requirement("C4")

_ANNA: dict[str, object] = {
    "subject": "anna",
    "email": "anna@example.org",
    "label": "Anna (employee)",
    "user_type": "employee",
    "groups": ["it", "staff"],
    "language": "nl",
}
_CSV = "subject,email,label,user_type,groups,language\n"
_ROW = "anna,anna@example.org,Anna (employee),employee,it;staff,nl\n"


@pytest.fixture
def sender(bench: Bench, tenant: Tenant) -> Sender:
    return Sender(bench, tenant)


@pytest.mark.parametrize(("kind", "content"), [("csv", _CSV + _ROW), ("jsonl", None)])
async def test_a_row_makes_the_subject_that_a_request_would_make(
    bench: Bench, sender: Sender, kind: str, content: str | None
) -> None:
    other = await bench.new_tenant()
    asked = (await other.api("POST", "/v1/subjects", _ANNA)).json()

    import_id = await sender.done(content or json_lines([_ANNA]), kind=kind)

    [made] = await sender.subjects()
    differing = {"subject_ref", "created"}
    assert {k: v for k, v in made.items() if k not in differing} == {
        k: v for k, v in asked.items() if k not in differing
    }
    [row] = await sender.rows(import_id)
    assert row == {
        "row": 1,
        "outcome": "created",
        "subject_ref": made["subject_ref"],
        "errors": [],
    }
    found = await sender.tenant.api("POST", "/v1/subjects/search", {"subject": "anna"})
    assert found.json() == made
    logins = await sender.tenant.api("POST", "/v1/subjects/logins", {"email": "ANNA@example.org"})
    assert logins.json()["logins"] == [made]


async def test_an_import_says_how_far_it_is(bench: Bench, sender: Sender) -> None:
    import_id = await sender.begin("jsonl")
    waiting = await sender.shown(import_id)
    await sender.put(import_id, 1, json_lines([{"subject": f"p{n}"} for n in range(4)]))
    received = await sender.shown(import_id)
    started = (await sender.start(import_id)).json()
    await importing(bench, rows_at_once=3).round()
    half = await sender.shown(import_id)
    await work(bench, rows_at_once=3)
    done = await sender.shown(import_id)

    assert [one["state"] for one in (waiting, received, started, half, done)] == [
        *("receiving", "receiving", "running", "running", "finished")
    ]
    assert [one["counts"]["received"] for one in (waiting, received, done)] == [0, 4, 4]
    assert [one["counts"]["created"] for one in (started, half, done)] == [0, 3, 4]
    assert [one["progress"] for one in (waiting, received, half, done)] == [0, 0, 0.75, 1]


async def test_every_row_has_its_outcome_and_pages_show_them(bench: Bench, sender: Sender) -> None:
    await sender.done(_CSV + _ROW + "bob,,,,,en\n")

    import_id = await sender.done(
        "subject,email,language\nanna,anna@example.org,nl\nbob,bob@example.org,en\n"
        "carl,,en\ncarl,,en\ndora,dora,en\n"
    )

    assert await sender.outcomes(import_id) == [
        (1, "unchanged", []),
        (2, "updated", []),
        (3, "created", []),
        (4, "refused", ["subject: row 3 is about the same one as row 4"]),
        (5, "refused", ["email: not an e-mail address"]),
    ]
    counts = (await sender.shown(import_id))["counts"]
    assert counts == {"received": 5, "created": 1, "updated": 1, "unchanged": 1, "refused": 2}
    assert [r["row"] for r in await sender.rows(import_id, "?outcome=refused")] == [4, 5]
    assert [r["row"] for r in await sender.rows(import_id, "?after=1&limit=2")] == [2, 3]
    page = await sender.tenant.api("GET", f"/v1/imports/{import_id}/rows?after=3&limit=2")
    assert page.json()["next_after"] is None
    page = await sender.tenant.api("GET", f"/v1/imports/{import_id}/rows?limit=2")
    assert page.json()["next_after"] == 2


async def test_what_a_file_does_not_name_stays_and_an_empty_cell_takes_away(
    sender: Sender,
) -> None:
    await sender.done(_CSV + _ROW)

    await sender.done("subject,user_type,groups\nanna,,\n")

    [anna] = await sender.subjects()
    assert (anna["user_type"], anna["groups"]) == (None, [])
    assert (anna["email"], anna["label"]) == ("anna@example.org", "Anna (employee)")
    assert anna["version"] == 2


async def test_events_are_those_of_requests_and_nothing_is_said_of_what_stays(
    bench: Bench, sender: Sender
) -> None:
    await sender.done(_CSV + _ROW + "bob,,,,,en\n")
    await sender.done(_CSV + _ROW + "bob,,,staff,,en\n")

    said = await bench.announced(sender.tenant.tenant_id)

    by_ref = {one["subject_ref"]: one["subject"] for one in await sender.subjects()}
    states = [data_of(SUBJECT_STATE, e) for _, e in said if e.type == SUBJECT_STATE.name]
    assert sorted((by_ref[str(s.subject_ref)], s.version, s.user_type) for s in states) == [
        ("anna", 1, "employee"),
        ("bob", 1, None),
        ("bob", 2, "staff"),
    ]
    facts = [(e, data_of(SUBJECT_CHANGED, e)) for _, e in said if e.type == SUBJECT_CHANGED.name]
    assert Counter(fact.change for _, fact in facts) == {Change.CREATED: 2, Change.UPDATED: 1}
    keys = Counter(event.key for event, _ in facts)
    sequences = {e.key: e.sequence for e, _ in facts}
    assert sequences == dict(keys)


async def test_the_end_of_an_import_is_announced_with_counts_only(
    bench: Bench, sender: Sender
) -> None:
    import_id = await sender.done(_CSV + _ROW + "bob,,,,,en\nanna,,,,,en\n")

    said = await bench.announced(sender.tenant.tenant_id)

    [event] = [event for _, event in said if event.type == SUBJECTS_IMPORTED.name]
    tenant = sender.tenant.tenant_id
    assert (event.key, event.subject) == (application_key(tenant, tenant), None)
    data = data_of(SUBJECTS_IMPORTED, event)
    assert (data.import_id, data.complete) == (UUID(import_id), True)
    assert (data.created, data.updated, data.unchanged, data.refused) == (2, 0, 0, 1)


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    bench: Bench, sender: Sender
) -> None:
    await sender.done(_CSV + _ROW + "bob,,Bob,,,en\n")
    before, said = await sender.subjects(), await bench.announced(sender.tenant.tenant_id)
    content = (
        "subject,label\nanna,Anna\nbob,Bob\ncarl,Carl\ncarl,Carl 2\ndora,Carl\n"
        "emil,Anna (employee)\nfred,Bob\nanna,Anna\n"
    )

    dry = await sender.begin(dry_run=True)
    await sender.put(dry, 1, content)
    await sender.start(dry)
    # One row a step: what earlier steps would have done counts.
    await work(bench, rows_at_once=1)
    assert await sender.subjects() == before
    assert await bench.announced(sender.tenant.tenant_id) == said
    earnest = await sender.done(content)

    assert await sender.outcomes(dry) == await sender.outcomes(earnest)
    assert [outcome for _, outcome, _ in await sender.outcomes(dry)] == [
        *("updated", "unchanged", "created", "refused", "refused", "created", "refused", "refused")
    ]
    refs = [row["subject_ref"] for row in await sender.rows(dry)]
    assert [ref is None for ref in refs] == [False, False, *[True] * 6]


async def test_a_label_that_an_import_gives_up_can_be_taken_by_a_later_row(
    sender: Sender,
) -> None:
    await sender.done("subject,label\nanna,A\nbob,B\n")

    import_id = await sender.done("subject,label\nanna,C\nbob,A\ncarl,B\n")

    assert [row["outcome"] for row in await sender.rows(import_id)] == [
        *("updated", "updated", "created")
    ]
    labels = {one["subject"]: one["label"] for one in await sender.subjects()}
    assert labels == {"anna": "C", "bob": "A", "carl": "B"}


async def test_a_cancelled_import_keeps_what_is_done_and_goes_no_further(
    bench: Bench, sender: Sender
) -> None:
    import_id = await sender.sent("subject\na\nb\nc\n")
    await importing(bench, rows_at_once=2).step(sender.tenant.tenant_id, UUID(import_id))

    ended = await sender.tenant.api("DELETE", f"/v1/imports/{import_id}")
    await work(bench)

    assert ended.json()["state"] == "cancelled"
    assert ended.json()["counts"]["created"] == 2
    assert {one["subject"] for one in await sender.subjects()} == {"a", "b"}
    parts = "SELECT count(*) FROM import_part WHERE import_id = $1"
    assert await bench.owner.fetchval(parts, UUID(import_id)) == 0
    said = await bench.announced(sender.tenant.tenant_id)
    [event] = [event for _, event in said if event.type == SUBJECTS_IMPORTED.name]
    assert (event.data["complete"], event.data["created"]) == (False, 2)
    again = await sender.tenant.api("DELETE", f"/v1/imports/{import_id}")
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
    assert (await sender.start(import_id)).json()["code"] == "import_closed"


async def test_what_is_finished_is_not_cancelled(sender: Sender) -> None:
    import_id = await sender.done("subject\na\n")

    answer = await sender.tenant.api("DELETE", f"/v1/imports/{import_id}")

    assert (answer.status_code, answer.json()["code"]) == (409, "import_closed")


async def test_a_page_of_rows_has_its_bounds(sender: Sender) -> None:
    import_id = await sender.done("subject\na\n")
    path = f"/v1/imports/{import_id}/rows"

    statuses = [
        (await sender.tenant.api("GET", f"{path}?{query}")).status_code
        for query in ("limit=0", "limit=1", "limit=1000", "limit=1001", "outcome=lost")
    ]

    assert statuses == [422, 200, 200, 422, 422]
