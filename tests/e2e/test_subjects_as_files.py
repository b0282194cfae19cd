"""`watchword subjects`: many people at once, on a running system."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.people import Tenancy
from tests.e2e.test_command_line import WATCHWORD, Said

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.requirement("C4")]

_CSV = """subject,email,label,user_type,groups,language
anna,Anna@Example.org,"Anna, ""the"" employee",employee,staff;it,nl
bob,,,student,,en
"""


async def _started(tenancy: Tenancy, *arguments: str) -> asyncio.subprocess.Process:
    around = {**os.environ, "WATCHWORD": tenancy.system.url, "MANAGE": tenancy.manage_key}
    return await asyncio.create_subprocess_exec(
        *(WATCHWORD, "subjects", *arguments),
        env=around,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _subjects(tenancy: Tenancy, *arguments: str) -> Said:
    process = await _started(tenancy, *arguments)
    out, error = await process.communicate()
    return Said(process.returncode or 0, out.decode(), error.decode())


async def test_a_file_comes_in_goes_out_and_comes_in_again(
    tenancy: Tenancy, tmp_path: Path
) -> None:
    file, written = tmp_path / "people.csv", tmp_path / "people.jsonl"
    file.write_text(_CSV)

    before = (await _subjects(tenancy, "export")).objects
    dry = await _subjects(tenancy, "import", str(file), "--dry-run")
    imported = await _subjects(tenancy, "import", str(file))
    exported = await _subjects(tenancy, "export")
    written.write_text(exported.out)
    again = await _subjects(tenancy, "import", str(written))

    assert (dry.code, "would be created: 2" in dry.out) == (0, True), dry
    assert (imported.code, "\n  created: 2\n" in imported.out) == (0, True), imported
    made = [one for one in exported.objects if one not in before]
    assert next(one for one in made if one["subject"] == "anna") == {
        "subject": "anna",
        "email": "Anna@example.org",
        "label": 'Anna, "the" employee',
        "user_type": "employee",
        "groups": ["it", "staff"],
        "language": "nl",
    }
    unchanged = len(exported.objects)
    assert (again.code, f"\n  unchanged: {unchanged}\n" in again.out) == (0, True), again


async def test_refused_rows_are_told_by_the_code_and_in_a_file(
    tenancy: Tenancy, tmp_path: Path
) -> None:
    file, report = tmp_path / "people.csv", tmp_path / "refused.jsonl"
    file.write_text("subject,email\ncarl,carl\ndora,dora@example.org\n")

    said = await _subjects(tenancy, "import", str(file), "--report", str(report))

    assert (said.code, "\n  refused: 1\n" in said.out) == (1, True), said
    assert [json.loads(line) for line in report.read_text().splitlines()] == [
        {"row": 1, "errors": ["email: not an e-mail address"]}
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("people.csv", b"mail\nanna\n", "header: column 1 is none of"),
        ("people.csv", b"subject\nanna\nb\xff\n", "row 2: not UTF-8"),
        ("people.csv", b'subject\n"anna\n', "row 1: its quotation marks are not as RFC 4180"),
        ("people.txt", b"subject\nanna\n", "--format says whether it is csv or jsonl"),
    ],
)
async def test_a_file_that_cannot_be_read_is_explained(
    tenancy: Tenancy, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)

    said = await _subjects(tenancy, "import", str(file))

    assert (said.code, words in said.error) == (2, True), said


async def test_after_ctrl_c_the_same_command_goes_on(tenancy: Tenancy, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = "".join(f"p{n},person.{n}@example.org,{'x' * 200} {n}\n" for n in range(12_000))
    file.write_text("subject,email,label\n" + rows)

    first = await _started(tenancy, "import", str(file))
    await asyncio.wait_for(_until_some_parts_came(tenancy, file), 60)
    first.send_signal(signal.SIGINT)
    out, error = await first.communicate()
    second = await _subjects(tenancy, "import", str(file))

    assert (first.returncode, b"the same command goes on" in error) == (130, True), out
    assert "going on with an import of this file, after part" in second.out
    assert (second.code, "\n  created: 12000\n" in second.out) == (0, True), second


async def _until_some_parts_came(tenancy: Tenancy, file: Path) -> None:
    from watchword.parts import digest_of

    body = {"format": "csv", "dry_run": False, "digest": digest_of(file)}
    headers = {"Authorization": f"Bearer {tenancy.manage_key}"}
    found: dict[str, int] = {"parts": 0}
    while not found["parts"]:
        answer = await tenancy.http.post("/v1/imports", json=body, headers=headers)
        found = answer.json()
