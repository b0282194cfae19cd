"""Bulk imports: what comes in, what becomes of it, and what is said of it."""

from collections import Counter
from typing import Any
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
_CAPITAL = 1024 * 1024


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


async def test_rows_are_counted_over_all_parts(sender: Sender) -> None:
    import_id = await sender.done("subject\na\nb\n", "c\n", "\n", "a\nd\n")

    assert await sender.outcomes(import_id) == [
        (1, "created", []),
        (2, "created", []),
        (3, "created", []),
        (4, "refused", ["subject: row 1 is about the same one as row 4"]),
        (5, "created", []),
    ]


async def test_the_same_part_again_is_harmless_and_another_one_is_not(sender: Sender) -> None:
    import_id = await sender.begin()

    answers = [
        await sender.put(import_id, number, content)
        for number, content in [
            (1, "subject\na\n"),
            (1, "subject\na\n"),
            (1, "subject\nb\n"),
            (3, "c\n"),
            (2, "b\n"),
            (1, "subject\na\n"),
        ]
    ]

    codes = [(a.status_code, a.json().get("code")) for a in answers]
    assert codes == [
        (200, None),
        (200, None),
        (409, "other_part"),
        (409, "part_missing"),
        (200, None),
        (200, None),
    ]
    assert (await sender.shown(import_id))["counts"]["received"] == 2


async def test_nothing_comes_after_the_start(sender: Sender) -> None:
    import_id = await sender.sent("subject\na\n")

    more = await sender.put(import_id, 2, "b\n")
    again = await sender.start(import_id)

    assert (more.status_code, more.json()["code"]) == (409, "import_closed")
    assert again.status_code == 200


async def test_the_start_wants_the_rows_that_were_named(sender: Sender) -> None:
    import_id = await sender.begin(rows=2)
    await sender.put(import_id, 1, "subject\na\n")

    early = await sender.start(import_id)
    await sender.put(import_id, 2, "b\n")

    assert (early.status_code, early.json()["code"]) == (409, "rows_missing")
    assert (await sender.start(import_id)).json()["state"] == "running"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"subject\na\nb\xff\n", "row 2: not UTF-8"),
        (b"subject\na\nb\x00\n", "row 2: a NUL byte"),
        (b'subject\na\n"b\n', "row 2: its quotation marks are not as RFC 4180 wants them"),
        (b"subject\n" + b"x" * 70_000 + b"\n", "row 1: longer than 65536 characters"),
        (b"email\n", "header: the column subject is missing"),
    ],
)
async def test_a_part_that_cannot_be_read_is_refused_whole(
    sender: Sender, content: bytes, error: str
) -> None:
    import_id = await sender.begin()

    answer = await sender.put(import_id, 1, content)

    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_part")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [error]
    assert (await sender.shown(import_id))["parts"] == 0
    assert (await sender.put(import_id, 1, "subject\na\n")).status_code == 200


async def test_the_100001st_row_is_refused(bench: Bench, sender: Sender) -> None:
    import_id = await sender.begin()
    content = "subject\n" + "x\n" * 100_000
    assert (await sender.put(import_id, 1, content)).status_code == 200

    answer = await sender.put(import_id, 2, "y\n")

    assert answer.json()["errors"] == ["row 100001: an import has at most 100000 rows"]
    assert (await sender.tenant.api("DELETE", f"/v1/imports/{import_id}")).status_code == 200


@pytest.mark.parametrize(("size", "status"), [(_CAPITAL, 200), (_CAPITAL + 1, 413)])
async def test_a_part_has_a_mebibyte(sender: Sender, size: int, status: int) -> None:
    import_id = await sender.begin()
    lines = "subject\n" + "x" * 60_000 + "\n"
    content = lines + "\n" * (size - len(lines))

    answer = await sender.put(import_id, 1, content)

    # The words of a 413 are the front door's.
    assert answer.status_code == status


async def test_an_empty_import_is_finished(sender: Sender) -> None:
    import_id = await sender.done()

    assert (await sender.shown(import_id))["state"] == "finished"


async def test_the_open_import_of_a_file_is_found_by_its_digest(sender: Sender) -> None:
    said: dict[str, Any] = {"format": "csv", "dry_run": False, "digest": "ab" * 32}

    async def begin(**other: object) -> tuple[int, str]:
        answer = await sender.tenant.api("POST", "/v1/imports", said | other)
        return answer.status_code, answer.json()["import_id"]

    first, again = await begin(), await begin()
    others = [await begin(dry_run=True), await begin(format="jsonl"), await begin(digest="cd" * 32)]
    await sender.tenant.api("DELETE", f"/v1/imports/{first[1]}")
    after = await begin()

    assert (first[0], again) == (201, (200, first[1]))
    assert [status for status, _ in others] == [201, 201, 201]
    assert after[0] == 201
    assert len({first[1], after[1], *(found for _, found in others)}) == 5


async def test_a_tenant_has_ten_open_imports_at_most(sender: Sender) -> None:
    body = {"format": "csv", "dry_run": False}

    answers = [await sender.tenant.api("POST", "/v1/imports", body) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [201] * 10 + [409]
    assert answers[-1].json()["code"] == "too_many_imports"


async def test_a_cancelled_import_keeps_what_is_done_and_goes_no_further(
    bench: Bench, sender: Sender
) -> None:
    import_id = await sender.sent("subject\na\nb\nc\n")
    await importing(bench, rows_at_once=2).round()

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
