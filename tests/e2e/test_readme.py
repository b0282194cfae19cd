"""The README's commands do what it says."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.people import Tenancy

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")

ROOT = Path(__file__).parents[2]


async def shell(script: str, environment: dict[str, str], folder: Path) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return [line for line in output.decode().replace("}{", "}\n{").splitlines() if line]


@pytest.mark.requirement("F5")
async def test_a_first_login_in_five_curls(tenancy: Tenancy, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    helper, script = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[:2]
    ask = next(line for line in helper.splitlines() if line.startswith("ask()"))
    script = script.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    environment = {
        "WATCHWORD": tenancy.system.url,
        "MANAGE": tenancy.manage_key,
        "KEY": tenancy.key,
    }

    # There wherever `make run` was.
    (tmp_path / ".watchword").mkdir()

    lines = await shell(f"{ask}\n{script}", environment, tmp_path)

    answers = [json.loads(line) for line in lines]
    assert answers[0]["subject"] == "anna@example.org"
    assert answers[1]["decision"] == "enroll"
    assert answers[2]["otpauth_uri"].startswith("otpauth://totp/")
    assert "recovery_ticket" in answers[3]
    assert answers[4]["outcome"] == "accepted"
