import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from pydantic import SecretStr, ValidationError

from contracts.vocabulary import Service
from deploy.local.ports import free_port
from libs.process import Part
from libs.sealing.key_file import write_key_file
from libs.service.settings import UnknownSettings
from libs.web.server import http_part
from services.notification.app import build
from services.notification.settings import Settings
from tests.fixtures.services import ROOT, ServiceDatabase, TestClock
from tests.integration.internal_matrix import make_identities, write_identity
from tests.integration.notification.smtp_simulator import SmtpSimulator
from tests.integration.notification.world import (
    PolicySimulator,
    World,
    running_world,
    settings_for,
    until,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
async def world(
    stored: ServiceDatabase, smtp: SmtpSimulator, tmp_path: Path
) -> AsyncIterator[World]:
    """The world of a process that reaches policy over HTTP and writes its spans to a file."""
    policy, port = PolicySimulator(), free_port()
    identity = make_identities()[Service.NOTIFICATION]
    own, public = write_identity(identity, tmp_path)
    write_key_file(tmp_path / "key")
    settings = settings_for(
        stored,
        smtp,
        policy_url=f"http://127.0.0.1:{port}",
        key_file=tmp_path / "key",
        identity_key_file=own,
        identity_public_keys_file=public,
        internal_port=free_port(),
        traces_file=tmp_path / "traces.jsonl",
    )
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_serve(http_part(policy.app(), host="127.0.0.1", port=port), stop))
        async with running_world(stored, smtp, policy, TestClock(), settings) as made:
            yield made
        stop.set()


@pytest.mark.fault("R26")
async def test_a_killed_process_leaves_an_unknown_message_and_no_second_mail(
    world: World, tmp_path: Path
) -> None:
    person, reached, never = world.person(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await never.wait()

    world.smtp.before["verdict"] = hold
    await world.hear(world.enrolled(person, traceparent=f"00-{TRACE}-{SPAN}-01"))
    async with _process(world, tmp_path / "first.log") as killed:
        await asyncio.wait_for(reached.wait(), 20)
        killed.kill()
        await killed.wait()
    world.smtp.before.clear()
    never.set()
    await world.make_due()

    async with _process(world, tmp_path / "second.log") as second:

        async def is_unknown() -> bool:
            return await world.state(person) == ("unknown", "no_answer")

        await until(is_unknown)
        await world.hear(world.enrolled(other := world.person()))

        async def other_is_sent() -> bool:
            return await world.state(other) == ("sent", None)

        await until(other_is_sent)
        await _is_ready(world)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.wait(), 15) == 0

    assert (len(world.smtp.delivered), world.smtp.twice) == (2, 0)
    assert await world.events(person) == ["mfa.notification_unknown"]


@pytest.mark.security("S14")
async def test_a_span_continues_the_events_trace_and_names_no_address(
    world: World, tmp_path: Path
) -> None:
    person = world.person()
    await world.hear(world.enrolled(person, traceparent=f"00-{TRACE}-{SPAN}-01"))

    async with _process(world, tmp_path / "process.log") as process:

        async def is_sent() -> bool:
            return await world.state(person) == ("sent", None)

        await until(is_sent)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0

    spans = [json.loads(line) for line in (tmp_path / "traces.jsonl").read_text().splitlines()]
    [mine] = [span for span in spans if span["name"] == "notify authenticator_added"]
    assert (mine["trace"], mine["parent"]) == (TRACE, SPAN)
    [row] = await world.rows("SELECT convert_from(payload, 'UTF8') AS payload FROM outbox")
    assert json.loads(str(row["payload"]))["traceparent"] == f"00-{TRACE}-{mine['span']}-01"
    said = (tmp_path / "traces.jsonl").read_text() + (tmp_path / "process.log").read_text()
    assert "started" in said
    assert person.email is not None
    assert person.email not in said


async def test_a_process_forgets_what_it_need_not_know_any_more(
    world: World, tmp_path: Path
) -> None:
    await world.rows(
        "INSERT INTO message (tenant_id, id, caused_by, subject_ref, template, status, happened,"
        " ended) SELECT $1, $1, $1, $1, 'authenticator_added', 'sent', at, at"
        " FROM (SELECT now() - interval '31 days' AS at)",
        uuid4(),
    )
    await world.rows(
        "INSERT INTO inbox (consumer, message, handled_at)"
        " SELECT 'notification', days, now() - days * interval '1 day'"
        " FROM unnest(ARRAY[445, 461]) AS days"
    )

    async def has_forgotten() -> bool:
        inbox = await world.rows("SELECT message FROM inbox")
        return await world.rows("SELECT 1 FROM message") == [] and inbox == [{"message": "445"}]

    async with _process(world, tmp_path / "process.log"):
        await until(has_forgotten)


async def test_refuses_to_start_with_a_setting_it_does_not_know(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _environment(world.settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WATCHWORD_NOTIFICATION_SMPT_HOST", "a typing error")

    with pytest.raises(UnknownSettings):
        async with build():
            pass


@pytest.mark.parametrize(
    "changes",
    [
        {"smtp_user": "watchword", "smtp_password": "secret"},
        {"smtp_user": "watchword", "smtp_tls": "tls"},
        {"smtp_tls": "sometimes"},
        {"mail_from": "Watchword"},
        {"mail_from": "Watchword\r\nBcc: <a@example.org>"},
        {"mail_from": ""},
        {"policy_url": "policy"},
        {"smtp_port": 0},
    ],
)
def test_refuses_settings_that_cannot_be_meant(world: World, changes: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_for(world.stored, world.smtp, **changes)

    assert "secret" not in str(refused.value).replace("secret_", "")


@asynccontextmanager
async def _process(world: World, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.notification",
            "consumer",
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
            | _environment(world.settings),
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _is_ready(world: World) -> None:
    address = f"http://127.0.0.1:{world.settings.internal_port}"
    async with httpx2.AsyncClient(base_url=address) as http:
        assert (await http.get("/health/ready")).status_code == 200
        assert "watchword_messages_pending" in (await http.get("/metrics")).text


async def _serve(part: Part, stop: asyncio.Event) -> None:
    await part(stop)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        f"WATCHWORD_NOTIFICATION_{name.upper()}": _text(value)
        for name in Settings.model_fields
        if (value := getattr(settings, name)) is not None
    }


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, timedelta):
        return f"PT{value.total_seconds()}S"
    return str(value)
