"""What an import takes: parts in order, whole rows, so many of them."""

from typing import Any

import pytest

from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.importing import Sender

pytestmark = pytest.mark.requirement("C4")

_MEBIBYTE = 1024 * 1024


@pytest.fixture
def sender(bench: Bench, tenant: Tenant) -> Sender:
    return Sender(bench, tenant)


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


@pytest.mark.parametrize(("size", "status"), [(_MEBIBYTE, 200), (_MEBIBYTE + 1, 413)])
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
