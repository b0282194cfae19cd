import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from deploy.local.ports import free_port
from tests.fixtures.services import ROOT, ServiceDatabase, TestClock
from tests.integration.notification.smtp_simulator import SmtpSimulator
from tests.integration.notification.world import (
    PolicySimulator,
    World,
    running_world,
    settings_for,
    until,
)


@dataclass(frozen=True)
class Inbox:
    """The real inbox, running."""

    process: asyncio.subprocess.Process
    http: httpx2.AsyncClient

    async def stop(self) -> int:
        """Ask it to stop, and return how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 3)


@pytest.fixture
async def world(stored: ServiceDatabase) -> AsyncIterator[World]:
    port = SmtpSimulator(port=free_port())
    settings = settings_for(stored, port)
    async with running_world(stored, port, PolicySimulator(), TestClock(), settings) as made:
        yield made


@pytest.mark.requirement("F3")
async def test_a_mail_is_seen_in_the_inbox_also_after_a_restart(
    world: World, tmp_path: Path
) -> None:
    person = world.person()
    await world.hear(world.enrolled(person))
    async with _inbox(world, tmp_path) as inbox:
        await world.deliver_due()

        assert await world.state(person) == ("sent", None)
        await _assert_shown(inbox, world, str(person.email))
        assert await inbox.stop() == 0

    async with _inbox(world, tmp_path) as inbox:
        await _assert_shown(inbox, world, str(person.email))
        await world.hear(world.enrolled(later := world.person()))
        await world.deliver_due()
        shown = (await inbox.http.get("/messages")).json()
        assert [mail["to"] for mail in shown] == [later.email, person.email]


async def test_the_page_runs_nothing_and_asks_nobody(world: World, tmp_path: Path) -> None:
    async with _inbox(world, tmp_path) as inbox:
        evil = "<script>alert(1)</script>"
        (tmp_path / "01980000-0000-7000-8000-000000000000.eml").write_bytes(
            f"To: {evil}\r\nSubject: {evil}\r\nContent-Type: text/html\r\n\r\n{evil}".encode()
        )
        (tmp_path / "notes.eml").write_text("not a mail of ours")
        [mail] = (await inbox.http.get("/messages")).json()
        pages = [
            await inbox.http.get(path)
            for path in ("/", f"/mails/{mail['id']}", f"/mails/{mail['id']}/html")
        ]

        for page in pages:
            assert page.status_code == 200
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "script-src" not in page.headers["content-security-policy"]
        assert evil not in pages[0].text + pages[1].text
        assert pages[2].headers["content-security-policy"].startswith("sandbox;")
        for path in ("/messages/nothing", "/mails/..%2f..%2fetc%2fpasswd", "/mails/x/html"):
            assert (await inbox.http.get(path)).status_code == 404
        strange = await inbox.http.get("/messages", headers={"Host": "evil.example.org"})
        assert strange.status_code == 400


async def _assert_shown(inbox: Inbox, world: World, address: str) -> None:
    [mail] = (await inbox.http.get("/messages")).json()
    [row] = await world.rows("SELECT id FROM message")
    assert mail["to"] == address
    assert mail["from"] == "Watchword <watchword@example.org>"
    assert mail["subject"] == "An authenticator was added to your account"
    assert mail["message_id"] == f"<{row['id']}@example.org>"
    assert "Was this not you?" in mail["text"]
    assert mail["received"].endswith("+00:00")
    assert (await inbox.http.get(f"/messages/{mail['id']}")).json() == mail
    listed, page = await inbox.http.get("/"), await inbox.http.get(f"/mails/{mail['id']}")
    for shown in (listed, page):
        assert mail["subject"] in shown.text
        assert address in shown.text
    assert "Was this not you?" in page.text
    assert "<h1" in (await inbox.http.get(f"/mails/{mail['id']}/html")).text


@asynccontextmanager
async def _inbox(world: World, folder: Path) -> AsyncIterator[Inbox]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.local.inbox",
        f"--smtp-port={world.settings.smtp_port}",
        f"--http-port={port}",
        f"--folder={folder}",
        cwd=ROOT,
    )
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

        async def answers() -> bool:
            try:
                return (await http.get("/health/ready")).status_code == 200
            except httpx2.HTTPError:
                return False

        try:
            await until(answers)
            yield Inbox(process, http)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
