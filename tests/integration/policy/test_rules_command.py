"""`watchword rules` while four eyes are on."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from deploy.local.ports import free_port
from libs.web.server import http_part
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.people import Person, two_owners
from tests.integration.policy.test_rules import _ALL, _published, _written

_WATCHWORD = str(Path(sys.executable).parent / "watchword")
_WEAKER = "rules:\n  - {name: nobody, requirement: off}\n"


@dataclass(frozen=True)
class Said:
    exit_code: int
    output: str


@pytest.fixture
async def front_door(bench: Bench) -> AsyncIterator[str]:
    """Policy behind a real port."""
    port, stop = free_port(), asyncio.Event()
    part = http_part(bench.listeners.public, host="127.0.0.1", port=port)
    serving = asyncio.ensure_future(part(stop))
    url = f"http://127.0.0.1:{port}"
    async with httpx2.AsyncClient() as http:
        while not await _answers(http, url):
            assert not serving.done()
    yield url
    stop.set()
    await serving


async def test_what_asks_for_less_waits_and_is_approved_from_the_command_line(
    front_door: str, tenant: Tenant, tmp_path: Path
) -> None:
    await _written(tenant, _ALL)
    await _published(tenant, 1, None)
    anna, bert = await two_owners(tenant)
    file = tmp_path / "rules.yaml"
    file.write_text(_WEAKER)

    run = _runner(front_door)
    applied = await run(anna, "apply", str(file), "--reason", "For a while", "--yes")
    listed = await run(bert, "proposals")
    [proposal] = [line.split()[0] for line in listed.output.splitlines() if "publish" in line]
    own = await run(anna, "approve", proposal)
    approved = await run(bert, "approve", proposal)

    assert applied.exit_code == 0, applied.output
    assert "version 2 waits for a second owner" in applied.output
    assert "nobody instead of all: off instead of required" in applied.output
    assert f"watchword rules approve {proposal}" in applied.output
    assert "publish_rules version=2 replaces=1" in listed.output
    assert (own.exit_code, "Another person" in own.output) == (2, True)
    assert (approved.exit_code, approved.output.strip()) == (0, "publish_rules: approved")
    assert (await run(bert, "proposals")).output == ""


def _runner(url: str) -> Callable[..., Awaitable[Said]]:
    async def run(who: Person, *arguments: str) -> Said:
        process = await asyncio.create_subprocess_exec(
            *(_WATCHWORD, "rules", *arguments),
            env={**os.environ, "WATCHWORD": url, "MANAGE": who.api.key},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return Said(process.returncode or 0, output.decode())

    return run


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/v1/settings")).status_code == 401
    except httpx2.ConnectError:
        return False
