"""`watchword rules`: policy as code, on a running system."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.e2e.people import Tenancy
from tests.e2e.test_command_line import WATCHWORD, Said

pytestmark = pytest.mark.xdist_group("e2e")

_FILE = """
time_zone: Europe/Amsterdam
rules:
  - {name: employees, match: {user_types: [employee]}, requirement: required, factors: [totp]}
  - {name: others, requirement: off}
"""


async def _rules(tenancy: Tenancy, *arguments: str) -> Said:
    around = {**os.environ, "WATCHWORD": tenancy.system.url, "MANAGE": tenancy.manage_key}
    process = await asyncio.create_subprocess_exec(
        *(WATCHWORD, "rules", *arguments),
        env=around,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return Said(process.returncode or 0, out.decode(), error.decode())


async def test_a_file_is_compared_brought_into_force_and_read_back(
    tenancy: Tenancy, tmp_path: Path
) -> None:
    file, why = tmp_path / "rules.yaml", ("--reason", "Agreed", "--yes")
    file.write_text(_FILE)

    nothing = await _rules(tenancy, "export")
    first = await _rules(tenancy, "diff", str(file))
    applied = await _rules(tenancy, "apply", str(file), *why)
    exported = await _rules(tenancy, "export")
    file.write_text(exported.out)
    again = await _rules(tenancy, "apply", str(file), *why)
    file.write_text(exported.out.replace("required", "optional"))
    second = await _rules(tenancy, "apply", str(file), *why)
    back = await _rules(tenancy, "publish", "1", "--reason", "Too early", "--yes")
    listed = await _rules(tenancy, "list")

    assert (nothing.code, nothing.error.strip()) == (2, "no rules are in force yet")
    assert first.code == 1
    assert "+ employees: added at place 1" in first.out
    assert (applied.code, "version 1 is in force" in applied.out) == (0, True)
    assert (again.code, again.out.strip()) == (0, "nothing would change")
    assert "~ employees: requirement required -> optional" in second.out
    assert "version 1 is in force" in back.out
    assert [line[:10].split() for line in listed.out.splitlines()] == [["2"], ["*", "1"]]


async def test_a_mistake_is_told_and_changes_nothing(tenancy: Tenancy, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(_FILE.replace("totp", ""))
    wrong = await _rules(tenancy, "apply", str(file), "--reason", "Agreed", "--yes")
    file.write_text("rules: [")
    broken = await _rules(tenancy, "diff", str(file))

    assert (wrong.code, "employees: it allows no factor" in wrong.error) == (2, True)
    assert (broken.code, "line 1" in broken.error) == (2, True)
    assert (await _rules(tenancy, "list")).out == ""
